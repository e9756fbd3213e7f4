#!/usr/bin/env bash
# What one node of the allocation does, started by srun in tune.sbatch: the head on the first node, a
# worker on each other, until it is told to end. What it wrote on the node's own disk goes then.
# shellcheck disable=SC2317 # what it calls unreachable is reached by a trap
set -euo pipefail
umask 077
: "${RAY_ADDRESS:?is set by tune.sbatch}" "${RAY_TMPDIR:?is set by tune.sbatch}" "${RAY_AUTH_TOKEN:?is set by tune.sbatch}"
mkdir -p "$RAY_TMPDIR"

size=(--num-cpus="${SLURM_CPUS_ON_NODE:?is set by srun}" --num-gpus="${SLURM_GPUS_ON_NODE:-0}")
if [ "${SLURM_NODEID:?is set by srun}" = 0 ]; then # where tune.sbatch itself runs
    role=(--head --port="${RAY_ADDRESS##*:}" --node-ip-address="${RAY_ADDRESS%%:*}")
    role+=(--dashboard-host=127.0.0.1 --dashboard-port="$AFDCD_DASHBOARD_PORT")
    role+=(--ray-client-server-port="$AFDCD_CLIENT_PORT" --temp-dir="$RAY_TMPDIR")
else
    role=(--address="$RAY_ADDRESS")
fi

ulimit -n 65536 2>/dev/null || true # where the site allows it
node=""

clean() {
    if [ -n "$node" ]; then
        kill -TERM "$node" 2>/dev/null || true
        wait "$node" || true
    fi
    rm -rf "$RAY_TMPDIR"
}

trap clean EXIT
trap 'exit 0' TERM INT

# A worker may be there before the head is, and one that was cut off comes back: it tries again. A head
# whose start took longer than Ray allows tries twice more; later there is no study left to come back to.
attempt=0
while [ "${role[0]}" != --head ] || [ $((attempt += 1)) -le 3 ]; do
    ray start --block "${role[@]}" "${size[@]}" &
    node=$!
    wait "$node" || true
    sleep 2
done
exit 1
