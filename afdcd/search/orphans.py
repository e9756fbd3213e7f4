"""Ends helpers of Ray Train whose run is gone.

Each run has an actor, PlacementGroupCleaner, that outlives the run's controller on purpose and ends
when it finds it dead. If the controller dies within the seconds in which it starts the helper, nobody
tells the helper to look, and it stays for ever, without a name by which it could be ended.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ray
from ray.util.state import list_actors
from ray.util.state.exception import RayStateApiException

from afdcd.search.capacity import HEAD

HELPER, CONTROLLER = "PlacementGroupCleaner", "TrainController"
PATIENCE = 10  # seconds in which one that does look has ended by itself


def end_orphans(
    api: str, hurry: Callable[[], bool], sleep: Callable[[float], None] = time.sleep
) -> int:
    """End the helpers of runs that are gone, of earlier drivers too; how many.

    They stand on the head node, as the controllers do that start them.

    Args:
        api: URL of the cluster's state API (the dashboard).
        hurry: whether to leave it to the next driver.
    """
    try:
        left = _found(api)
        for _ in range(PATIENCE):
            if not left or hurry():
                return 0
            sleep(1)
            left &= _found(api)
        on_head = ray.remote(num_cpus=0, resources={HEAD: 0.001}, max_retries=0)(end)
        return sum(ray.get([on_head.remote(pid) for pid in left], timeout=PATIENCE))
    except (RayStateApiException, ray.exceptions.RayError, OSError):
        return 0  # they hold no CPU and no GPU: the next driver will do


def orphans(helpers: Iterable[Any], controllers: Iterable[Any]) -> set[int]:
    """The process ids of helpers of which no controller lives in the same job."""
    busy = {controller.job_id for controller in controllers}
    return {helper.pid for helper in helpers if helper.job_id not in busy}


def end(pid: int) -> bool:
    """End the process on this machine, if it is a helper."""
    with contextlib.suppress(OSError):  # gone, or no Linux
        if HELPER.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def _found(api: str) -> set[int]:
    """Of what lives. Helpers first: one that starts while we look has its controller by then."""
    helpers, controllers = (
        list_actors(api, filters=[("class_name", "=", name), ("state", "=", "ALIVE")])
        for name in (HELPER, CONTROLLER)
    )
    return orphans(helpers, controllers)
