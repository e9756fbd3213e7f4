"""Loader processes: how they start, and what is told where one is killed or cannot go on."""

import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from multiprocessing.queues import Queue
from pickle import UnpicklingError
from typing import Any

from torch.utils.data import DataLoader

from afdcd.config import UserError
from afdcd.data.train.batch import Batch

# What breaks the hand-over of a batch: a connection to a process that is gone, its message cut short,
# its shared memory, and torch's own word that it is gone.
_BROKEN = (OSError, EOFError, UnpicklingError, RuntimeError)
_WANT = (
    "for want of memory or of shared memory (/dev/shm); lower data.loader_workers, or give it more"
)


def context(workers: int, root: str, module: str) -> BaseContext | None:
    """How loader processes start.

    A process that is forked must not inherit the threads of an S3 client: for a URI all are forked
    from a server process that has imported everything and connected to nothing. For a folder they are
    forked from this one, which shares its index with them.

    Args:
        module: what the server process imports, or each process would spend seconds on torch.
    """
    if workers == 0:
        return None
    if "://" not in root:
        return get_context("fork")
    server = get_context("forkserver")
    server.set_forkserver_preload([module])
    return server


def checked(loader: DataLoader[Batch | UserError]) -> Iterator[Batch]:
    """The batches of a loader.

    Raises:
        UserError: what a loader process reports, or that one is gone.
    """
    try:
        for loaded in _quietly(loader):
            if isinstance(loaded, UserError):
                raise loaded
            yield loaded
    except _BROKEN as error:
        reason = _first_line(error)
        # torch words the errors of a loader process's own code so: those are faults in it.
        if loader.num_workers == 0 or reason.startswith("Caught "):
            raise
        raise UserError(
            f"a loader process is gone ({reason}): killed by hand, or {_WANT}"
        ) from None


def report_what_cannot_be_sent(_: int) -> None:
    """Let a loader process send the reason where it cannot send a batch (a `worker_init_fn`).

    A thread of the queue puts batches into shared memory. Where there is no room, it would print a
    traceback, drop the batch and go on, and the training process would wait for ever.
    """

    def send_reason(queue: "Queue[Any]", error: Exception, item: tuple[int, Batch]) -> None:
        reason = f"a loader process cannot hand over a batch ({_first_line(error)}): {_WANT}"
        with suppress(ValueError):  # closed: the training process has stopped listening
            queue.put((item[0], UserError(reason)))

    Queue._on_queue_feeder_error = send_reason  # type: ignore[attr-defined]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _quietly(loader: DataLoader[Batch | UserError]) -> Iterator[Batch | UserError]:
    """Iterate without torch's SIGCHLD handler.

    It would raise in whatever the main thread does when a loader process dies, a training step for
    instance; the loader finds out by itself when the next batch is asked for.
    """
    if threading.current_thread() is not threading.main_thread():
        return iter(loader)  # torch leaves signals alone then
    handler = signal.getsignal(signal.SIGCHLD)
    batches = iter(loader)
    signal.signal(signal.SIGCHLD, handler)
    return batches
