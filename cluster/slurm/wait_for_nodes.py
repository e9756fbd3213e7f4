"""Wait until all nodes of the allocation have joined: python wait_for_nodes.py NODES PROCESS.

Ends with an error when PROCESS, which starts them, has ended, or after ten minutes.
"""

import logging
import os
import sys
import time

import ray

PATIENCE = 600.0  # seconds


def main(expected: int, starter: int) -> int:
    end = time.monotonic() + PATIENCE
    seen = 0
    while time.monotonic() < end:
        if not _lives(starter):
            print("error: srun has ended: its lines above say why", file=sys.stderr)
            return 2
        seen = max(seen, _nodes())
        if seen >= expected:
            print(f"{seen} nodes are ready", flush=True)
            return 0
        time.sleep(1)
    print(
        f"error: {seen} of {expected} nodes after {PATIENCE:.0f} s: can the nodes reach "
        f"{os.environ['RAY_ADDRESS']}?",
        file=sys.stderr,
    )
    return 2


def _nodes() -> int:
    """How many are there now; 0 while the head does not answer."""
    try:
        if not ray.is_initialized():
            ray.init(logging_level=logging.CRITICAL, log_to_driver=False)
        return sum(node["Alive"] for node in ray.nodes())
    except (ConnectionError, RuntimeError):
        return 0


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
