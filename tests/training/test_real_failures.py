"""What Ray Train makes of a worker's real errors: one start, one line, and whose fault it was."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray.train
import torch

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.search.cluster import connect
from afdcd.training import launch
from afdcd.training.job import Failure
from afdcd.training.launch import build_trainer, failure_of
from tests.examples import job

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    with connect():
        yield


def _failed(
    monkeypatch: pytest.MonkeyPatch, plain: dict[str, Any], work: Callable, code: str = ""
) -> Failure:
    """What is told of a run whose worker does this; it must have been started once."""
    starts = Path(plain["folder"]) / "starts"

    def counted(job: dict[str, Any]) -> None:
        with starts.open("a") as file:
            file.write("started\n")
        work(job)

    monkeypatch.setattr(launch, "_work", counted)
    with pytest.raises(ray.train.TrainingFailedError) as told:
        build_trainer(plain, gpu=False, callbacks=[], code=code).fit()
    assert starts.read_text() == "started\n"
    return failure_of(told.value)


ERRORS = {
    "device memory": (
        torch.OutOfMemoryError,
        "CUDA out of memory. Tried to allocate 2 GiB",
        "setting",
    ),
    "host memory": (MemoryError, "Unable to allocate 9 GiB", "memory"),
    "anything else": (RuntimeError, "an illegal memory access", "machine"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_is_told_at_once_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str
) -> None:
    error, text, fault = ERRORS[case]

    def raises(_: dict[str, Any]) -> None:
        raise error(f"{text}")

    told = _failed(monkeypatch, job(folder=str(tmp_path)).plain(), raises)
    assert told.fault == fault
    assert told.failed.endswith(text)
    assert "\n" not in told.failed


def test_a_killed_worker_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def dies(_: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    told = _failed(monkeypatch, job(folder=str(tmp_path)).plain(), dies)
    assert (told.failed, told.fault) == ("a worker was killed, or its machine is gone", "machine")


def test_a_damaged_row_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path / "data"
    prepare_synthetic(str(root), SyntheticConfig(height=64, width=64, train=6, val=1, test=1))
    for shard in root.glob("train-*.parquet"):
        data = shard.read_bytes()
        shard.write_bytes(data.replace(b"IHDR", b"IHDX"))
    folder = tmp_path / "job"
    folder.mkdir()
    given = job(folder=str(folder), data__root=str(root), distiller={"method": "none"})
    told = _failed(monkeypatch, given.plain(), launch._work)
    assert told.fault == "data"
    assert "cannot be read" in told.failed
    assert "\n" not in told.failed


def test_a_node_with_other_code_trains_nothing_and_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The machine's: the run goes on where the driver's code is, and costs no trial."""
    told = _failed(monkeypatch, job(folder=str(tmp_path)).plain(), launch._work, code="0" * 64)
    assert told.fault == "machine"
    assert "has another afdcd" in told.failed
    assert "\n" not in told.failed
