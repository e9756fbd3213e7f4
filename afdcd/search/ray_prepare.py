"""The shards of a data set written as Ray tasks, one each."""

from collections import deque
from collections.abc import Iterator, Sequence

import cv2
import ray
from ray.exceptions import RayError, RayTaskError

from afdcd.config import UserError
from afdcd.data.prepare.part import Mapper, Part, Progress, Receipt, Silent, write_part
from afdcd.search.cluster import connect
from afdcd.text import first_line


def on_ray(workers: int | None) -> Mapper:
    """At most `workers` tasks at a time; None keeps all CPUs of the cluster busy."""

    def mapper(root: str, parts: Sequence[Part], progress: Progress) -> Iterator[Receipt]:
        with connect() as cluster:
            # Twice the CPUs, so that none waits until this process hands out the next shard, and
            # a cluster that grows on demand sees the demand.
            most = workers or 2 * max(1, int(cluster.cpus))
            waiting = deque(parts)
            running: list[ray.ObjectRef] = []
            while waiting or running:
                while waiting and len(running) < most:
                    running.append(_write.remote(root, waiting.popleft()))
                (done,), running = ray.wait(running)
                receipt = _result(done)
                progress(receipt.images, receipt.size)
                yield receipt

    return mapper


@ray.remote(num_cpus=1)
def _write(root: str, part: Part) -> Receipt:
    cv2.setNumThreads(1)  # each CPU has a task of its own
    return write_part(root, part, Silent())


def _result(task: ray.ObjectRef) -> Receipt:
    try:
        receipt: Receipt = ray.get(task)
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except RayError as error:
        raise UserError(
            f"a worker was lost: {first_line(error)}; give the same command again, with "
            "fewer --workers or more --shards if memory ran out"
        ) from None
    return receipt
