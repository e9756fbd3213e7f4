#!/bin/sh
# Prints the Secrets of cluster/ as manifests, with fresh random values. Nothing is kept, so give it at once to
# kubectl, or to what seals secrets for your repository:
#
#   cluster/secrets.sh | kubectl create -f -                      # the first time; refuses to replace any
#   cluster/secrets.sh ray-auth | kubectl apply -f -              # one of them anew (README, "Rotate a secret")
set -eu

random() { # 256 bits; letters and digits alone, so that it may stand in any URL and file
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

secret() { # NAME KEY...
    printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: afdcd\ntype: Opaque\nstringData:\n' "$1"
    shift
    for key; do
        value=$(random)
        [ ${#value} -eq 64 ] || { echo "no random numbers from /dev/urandom" >&2; exit 1; }
        printf '  %s: "%s"\n' "$key" "$value"
    done
    echo ---
}

print() {
    case "$1" in
    ray-auth) secret ray-auth auth_token ;;
    afdcd-postgres) secret afdcd-postgres superuser-password afdcd-password mlflow-password ;;
    afdcd-store) secret afdcd-store access-key secret-key ;;
    afdcd-mlflow) secret afdcd-mlflow admin-password flask-secret-key ;;
    afdcd-redis) secret afdcd-redis password ;; # for components/redis-gcs-ft
    *)
        echo "$1: no such secret; there are ray-auth, afdcd-postgres, afdcd-store, afdcd-mlflow, afdcd-redis" >&2
        exit 2
        ;;
    esac
}

[ $# -gt 0 ] || set -- ray-auth afdcd-postgres afdcd-store afdcd-mlflow afdcd-redis
for name; do
    print "$name"
done
