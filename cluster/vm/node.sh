#!/usr/bin/env bash
# Ray on this machine: bash cluster/vm/node.sh head, or RAY_HEAD_IP=10.0.0.10 bash cluster/vm/node.sh worker.
#
# `ray up` calls it. It is also how a machine is started by hand, and what a supervisor (systemd) runs
# with BLOCK=1: then it ends with Ray, and the supervisor lets a machine that was cut off join again.
set -euo pipefail

fail() {
    echo "error: $1" >&2
    exit 2
}

home="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
settings="${AFDCD_ENVIRONMENT:-$HOME/.afdcd/environment}"
[ -f "$settings" ] || fail "$settings is missing: copy cluster/vm/environment.example there and fill it in"
[ "$(stat -c %a "$settings")" = 600 ] || fail "$settings: others can read it: chmod 600 $settings"
set -a
# shellcheck source=/dev/null
. "$settings"
set +a
[ -n "${RAY_AUTH_TOKEN:-}" ] || fail "$settings: RAY_AUTH_TOKEN is empty: openssl rand -hex 32"
export RAY_AUTH_MODE=token
# A machine that falls silent is noticed within 20 seconds instead of seven minutes.
export RAY_grpc_client_keepalive_time_ms=10000 RAY_grpc_client_keepalive_timeout_ms=5000
export RAY_JOB_STOP_WAIT_TIME_S=30 # a job that is stopped has time to close its runs
export RAY_USAGE_STATS_ENABLED=0
export PATH="$home/.venv/bin:$PATH" PYTHONPATH="$home${PYTHONPATH:+:$PYTHONPATH}"

options=()
[ -z "${BLOCK:-}" ] || options+=(--block)
case "${1:-}" in
head)
    # Without CPUs of its own the head runs drivers alone: AFDCD_HEAD_CPUS=0.
    [ -z "${AFDCD_HEAD_CPUS:-}" ] || options+=(--num-cpus="$AFDCD_HEAD_CPUS")
    [ ! -f "$HOME/ray_bootstrap_config.yaml" ] || options+=(--autoscaling-config="$HOME/ray_bootstrap_config.yaml")
    # The dashboard takes jobs, so it listens on this machine alone; `ray dashboard` leads to it by ssh.
    options+=(--head --port=6379 --dashboard-host=127.0.0.1)
    ;;
worker)
    [ -n "${RAY_HEAD_IP:-}" ] || fail "RAY_HEAD_IP is not set: the address of the head"
    options+=(--address="$RAY_HEAD_IP:6379")
    ;;
*)
    fail "say head or worker"
    ;;
esac
ulimit -n 65536 2>/dev/null || true # where the machine allows it
# Ray gives itself 30 seconds, which a machine that has just started and reads all from a slow disk may
# not keep. The next attempt finds the files in memory.
for attempt in 1 2 3; do
    ray stop >/dev/null
    ray start "${options[@]}" && exit
    echo "attempt $attempt of 3 failed" >&2
done
exit 1
