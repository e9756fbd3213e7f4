"""Whatever ends a loader process, at whatever moment, is told in one line."""

import pickle
import random
import re
import threading
from collections.abc import Iterator
from multiprocessing import active_children
from multiprocessing.resource_sharer import DupFd
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from afdcd.config import UserError
from afdcd.data.shards.rows import Rows, open_split
from afdcd.data.train import loader
from afdcd.data.train.batch import Batch
from afdcd.data.train.loader import DataConfig, evaluation_images, train_batches

CONFIG = DataConfig(
    dataset="camvid", root="unused", protocol="official", crop=(32, 40), loader_workers=2
)


@pytest.fixture(autouse=True)
def _noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch looks every 5 s whether a loader process that says nothing still lives."""
    look = _MultiProcessingDataLoaderIter._try_get_data
    monkeypatch.setattr(look, "__defaults__", (0.05,))


def _batches(root: str, workers: int = 2) -> Iterator[Batch]:
    config = CONFIG.updated(loader_workers=workers)
    return train_batches(config, root, seed=7, batch=2, rank=0, world=1, start=0, stop=10**6)


def _kill_at(root: str, moment: int) -> None:
    """Kill one of two loader processes a random time after their first batch."""
    drawn = random.Random(moment)
    others = active_children()
    batches = _batches(root)
    next(batches)
    victim = drawn.choice([child for child in active_children() if child not in others])
    timer = threading.Timer(drawn.uniform(0, 0.05), victim.kill)
    timer.start()
    told = _told(batches)
    timer.join()
    assert re.fullmatch(r"a loader process is gone \(.+\): .*memory.*loader_workers.*", told)


def _told(batches: Iterator[Batch]) -> str:
    """The error that ends the batches; the loader behind them ends with this call."""
    try:
        for _ in batches:
            pass
    except UserError as error:
        return str(error)
    raise AssertionError("the loader went on to its end")


@pytest.mark.parametrize("moment", range(10))
def test_a_killed_loader_process_is_one_line(prepared: str, moment: int) -> None:
    _kill_at(prepared, moment)


class _Endless:
    """Rows that begin anew at their end."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return 10**6

    def __getattr__(self, name: str) -> Any:
        method, count = getattr(self._rows, name), len(self._rows)
        return lambda index, *others: method(index % count, *others)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_loader_process_killed_in_an_evaluation_is_one_line(
    prepared: str, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(loader, "open_split", lambda *names: _Endless(open_split(*names)))
    config = CONFIG.updated(loader_workers=workers)
    others = active_children()
    many = evaluation_images(config, prepared, "train")
    next(many)
    for child in active_children():
        if child not in others:
            child.kill()
    with pytest.raises(UserError, match="a loader process is gone") as told:
        for _ in many:
            pass
    assert "\n" not in str(told.value)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_loader_process_killed_at_any_of_many_moments_is_one_line(prepared: str) -> None:
    for moment in range(10, 200):
        _kill_at(prepared, moment)


BREAKS = [
    ConnectionResetError(104, "Connection reset by peer"),
    ConnectionRefusedError(111, "Connection refused"),
    BrokenPipeError(32, "Broken pipe"),
    EOFError(),
    FileNotFoundError(2, "No such file or directory"),
    OSError(24, "Too many open files"),
    RuntimeError("received 0 items of ancdata"),
    RuntimeError("unable to mmap 120 bytes from file </torch_1>: Cannot allocate memory (12)"),
    pickle.UnpicklingError("pickle data was truncated"),
]


@pytest.mark.parametrize("broken", BREAKS, ids=lambda error: type(error).__name__)
def test_a_hand_over_that_breaks_is_one_line(
    prepared: str, monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    """Though torch still takes the process for alive."""

    def breaks(handle: DupFd) -> int:
        raise broken

    monkeypatch.setattr(DupFd, "detach", breaks)
    with pytest.raises(UserError, match="a loader process is gone") as told:
        next(_batches(prepared))
    assert str(broken) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_batch_for_which_shared_memory_has_no_room_is_one_line(
    prepared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch itself drops the batch and goes on: the training process would wait for ever."""

    def full(storage: torch.UntypedStorage, *_: Any) -> None:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", full)
    with pytest.raises(UserError, match=r"cannot hand over a batch \(.*No space left.*/dev/shm"):
        next(_batches(prepared))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fault_in_the_code_keeps_its_traceback(
    prepared: str, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    def faulty(*_: Any) -> Tensor:
        raise RuntimeError("the size of tensor a must match")

    monkeypatch.setattr(loader, "cut_image", faulty)
    with pytest.raises(RuntimeError, match="the size of tensor a must match"):
        next(_batches(prepared, workers))
