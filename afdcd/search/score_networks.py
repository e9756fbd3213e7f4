"""Scores of finished networks, measured on the cluster: the teacher gate and the final report."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import ray
import torch

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.splits import Role
from afdcd.data.train.config import DataConfig
from afdcd.environment import storage_root
from afdcd.search.cluster import Cluster
from afdcd.search.watchdog import LOOK, Watch
from afdcd.tasks.names import task_named
from afdcd.tasks.score import Score
from afdcd.training.artifacts import load_from
from afdcd.training.resources import ResourcesConfig
from afdcd.version import check_code, code_sha256

T = TypeVar("T")
EVERY = 5.0  # seconds between two signs of life


def score_networks(
    weights: list[str], data: DataConfig, role: Role, cluster: Cluster, resources: ResourcesConfig
) -> list[Score]:
    """Evaluate .safetensors networks (path or URI) on a split: here, or where the GPUs are.

    Args:
        resources: of a run; here they say how many threads compute.

    Raises:
        UserError: it hangs, by the watchdog's measure, data or weights cannot be read, or a node has
            other code.
    """
    if cluster.gpus < 1 and cluster.nodes == 1:
        torch.set_num_threads(max(1, int(cluster.alone(resources).cpus)))
        began = time.monotonic()
        scores = [_measured_here(uri, data, role) for uri in weights]
        cluster.measured((time.monotonic() - began) / 3600)
        return scores
    gpu = 1 if cluster.gpus >= 1 else 0
    task = ray.remote(num_cpus=1, num_gpus=gpu, max_retries=2)(_timed)
    signs = storage.join(storage_root(), "measuring", uuid.uuid4().hex)
    places = [storage.join(signs, str(place)) for place in range(len(weights))]
    pairs = zip(weights, places, strict=True)
    code = code_sha256()
    running = [task.remote(code, uri, data, role, partial(_write, at)) for uri, at in pairs]
    try:
        found = results([ref.future() for ref in running], lambda: list(map(_read, places)))
        cluster.measured(sum(seconds for _, seconds in found) / 3600)
        return [score for score, _ in found]
    except UserError:
        for ref in running:
            ray.cancel(ref, force=True)
        raise
    finally:
        with suppress(OSError, UserError):
            storage.remove_folder(signs)


def results(
    running: Sequence["Future[T]"],
    hear: Callable[[], Any],
    clock: Callable[[], float] = time.monotonic,
) -> list[T]:
    """What was computed, once all is.

    Args:
        hear: something that changes whenever the work has come further.

    Raises:
        UserError: it has not for far too long.
    """
    watch = Watch(clock())
    while wait(running, LOOK).not_done:
        watch.hear(hear(), clock())
        if why := watch.hangs(clock()):
            raise UserError(f"measuring networks: {why}; the same command measures them again")
    return [future.result() for future in running]


def _measured_here(weights: str, data: DataConfig, role: Role) -> Score:
    """In a thread: what hangs in there must not hold the driver for ever."""
    counted, score = [0], Future[Score]()

    def work() -> None:
        try:
            score.set_result(_measure(weights, data, role, partial(counted.__setitem__, 0)))
        except BaseException as error:
            score.set_exception(error)

    threading.Thread(target=work, name="measuring", daemon=True).start()
    return results([score], lambda: counted[0])[0]


def _measure(
    weights: str, data: DataConfig, role: Role, tell: Callable[[int], None] = lambda count: None
) -> Score:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, card = load_from(weights)
    # Which it is shown its pictures in, whatever the runs that it teaches see.
    data = data.updated(normalisation=card.normalisation)
    task = task_named(card.task)
    images = _counted(task.images(data, role, device), tell)
    return task.evaluate(network.to(device), images, data, device).score()


def _timed(code: str, *given: Any) -> tuple[Score, float]:
    """With the seconds for which it held its device. `code` is the driver's."""
    began = time.monotonic()
    check_code(code)
    return _measure(*given), time.monotonic() - began


def _counted(images: Iterator[T], tell: Callable[[int], None]) -> Iterator[T]:
    told = time.monotonic()
    for count, image in enumerate(images):
        if time.monotonic() - told >= EVERY:
            tell(count)
            told = time.monotonic()
        yield image


def _write(place: str, count: int) -> None:
    with suppress(OSError, UserError):  # a sign that is missing is no reason to stop
        storage.write_bytes(place, str(count).encode())


def _read(place: str) -> bytes | None:
    with suppress(OSError, UserError):
        return storage.read_bytes(place)
    return None
