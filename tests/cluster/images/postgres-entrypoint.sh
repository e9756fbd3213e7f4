#!/bin/sh
# What docker-library/postgres does at its start, as far as docker/ and cluster/ use it.
set -eu
programs=$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb)")
export PATH="$programs:$PATH"
data=${PGDATA:-/var/lib/postgresql/data}
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
mkdir -p "$data" /var/run/postgresql
if [ "$(id -u)" = 0 ]; then chown postgres "$data" /var/run/postgresql; fi
if [ ! -s "$data/PG_VERSION" ]; then
    printf %s "$POSTGRES_PASSWORD" > /tmp/password
    chmod 644 /tmp/password
    as initdb --pgdata="$data" --username=postgres --auth-local=trust --auth-host=scram-sha-256 --pwfile=/tmp/password
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
    as pg_ctl --pgdata="$data" --wait --options="-c listen_addresses=''" start
    for script in /docker-entrypoint-initdb.d/*.sh; do as sh "$script"; done
    as pg_ctl --pgdata="$data" --wait stop
fi
if [ "$(id -u)" = 0 ]; then exec runuser -u postgres -- postgres -D "$data" -c listen_addresses='*'; fi
exec postgres -D "$data" -c listen_addresses='*'
