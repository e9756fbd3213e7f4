"""Ray Train's own checkpoint manager, its snapshot and the checkpoints, each cut short anywhere."""

import asyncio
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from ray.train import Checkpoint, CheckpointConfig
from ray.train.v2._internal.exceptions import CheckpointManagerInitializationError
from ray.train.v2._internal.execution.checkpoint.checkpoint_manager import CheckpointManager
from ray.train.v2._internal.execution.storage import StorageContext
from ray.train.v2._internal.execution.training_report import _TrainingReport

from afdcd import storage
from afdcd.training.job import said
from afdcd.training.resume import (
    DRAINED,
    MEMORY,
    NAME,
    TRAIN,
    newest_checkpoint,
    newest_iteration,
)
from tests.examples import report

TENSORS = b"tensors of iteration %d"


def write_checkpoint(folder: Path, iteration: int, name: str = NAME) -> Path:
    """A checkpoint that is whole, in the folder of a run."""
    place = folder / TRAIN / name.format(iteration)
    place.mkdir(parents=True)
    payload = TENSORS % iteration
    header = {"version": 3, "run": "a" * 64, "sha256": hashlib.sha256(payload).hexdigest()}
    (place / "state.safetensors").write_bytes(payload)
    (place / "state.json").write_text(json.dumps(header))
    return place


def manager(folder: Path) -> CheckpointManager:
    """Ray Train's, as each attempt makes it."""
    return CheckpointManager(CheckpointConfig(num_to_keep=1), StorageContext(str(folder), TRAIN))


def reported(folder: Path, *iterations: int) -> None:
    """What Ray Train writes when these checkpoints are reported in one attempt."""

    async def register() -> None:
        one = manager(folder)
        for iteration in iterations:
            place = write_checkpoint(folder, iteration)
            checkpoint = Checkpoint(str(place), one._storage_context.storage_filesystem)
            one.register_checkpoint(_TrainingReport(checkpoint, said(report(iteration)), False))

    asyncio.run(register())


@pytest.fixture(scope="module")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    reported(folder, 2, 4)
    return folder


@pytest.fixture
def run(_trained: Path, tmp_path: Path) -> Path:
    """The folder of a run whose newest checkpoint is that of iteration 4."""
    return shutil.copytree(_trained, tmp_path / "run")


def test_a_snapshot_cut_at_any_byte_costs_nothing(run: Path) -> None:
    snapshot = run / TRAIN / MEMORY
    whole = snapshot.read_bytes()
    broken = 0
    for size in range(len(whole) + 1):
        snapshot.write_bytes(whole[:size])
        try:
            manager(run)
        except CheckpointManagerInitializationError:
            broken += 1
        assert newest_checkpoint(str(run)) == str(run / TRAIN / "iteration_000004")
        assert manager(run).latest_checkpoint_result is None  # it starts, and remembers nothing
    assert broken == len(whole)  # else Ray Train names its file otherwise now


@pytest.mark.parametrize("name", ["state.json", "state.safetensors"])
def test_a_checkpoint_cut_at_any_byte_falls_back_to_the_one_before(run: Path, name: str) -> None:
    older, newer = write_checkpoint(run, 2), run / TRAIN / "iteration_000004"
    whole, others = (newer / name).read_bytes(), shutil.copytree(newer, run / "kept")
    for size in range(len(whole)):
        (newer / name).write_bytes(whole[:size])
        assert newest_checkpoint(str(run)) == str(older), size
        assert not newer.exists()
        assert manager(run).latest_checkpoint_result is None
        shutil.copytree(others, newer)
    assert newest_checkpoint(str(run)) == str(newer)
    assert not older.exists()


@pytest.mark.parametrize("missing", [["state.json"], ["state.safetensors"], [], None])
def test_a_checkpoint_without_its_files_is_none(run: Path, missing: list[str] | None) -> None:
    """`[]`: an empty folder; `None`: the folder that the snapshot names is gone."""
    newer = run / TRAIN / "iteration_000004"
    if missing is None:
        shutil.rmtree(newer)
    for name in missing or (["state.json", "state.safetensors"] if missing is not None else []):
        (newer / name).unlink()
    assert newest_checkpoint(str(run)) is None
    manager(run)
    older = write_checkpoint(run, 2)
    assert newest_checkpoint(str(run)) == str(older)


def test_a_later_attempt_keeps_one_checkpoint_as_ray_train_does(run: Path) -> None:
    assert newest_checkpoint(str(run)) is not None
    reported(run, 6, 8)
    assert newest_checkpoint(str(run)) == str(run / TRAIN / "iteration_000008")
    left = {path.name for path in (run / TRAIN).iterdir() if path.is_dir()}
    assert left == {"iteration_000008"}


def test_iterations_are_compared_as_numbers(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 999_999)
    newer = write_checkpoint(tmp_path, 1_000_000)
    assert newest_checkpoint(str(tmp_path)) == str(newer)


def test_of_a_drained_run_the_last_state_counts(tmp_path: Path) -> None:
    """A validation comes after its last iteration, and what follows it is newer than both."""
    run, uri = tmp_path, str(tmp_path)
    for iteration, name, newest in (
        (4, NAME, "iteration_000004"),
        (7, DRAINED, "drained_000007"),
        (8, DRAINED, "drained_000008"),
        (8, NAME, "iteration_000008"),
        (9, DRAINED, "drained_000009"),
    ):
        write_checkpoint(run, iteration, name)
        write_checkpoint(run, 2, DRAINED)  # left over
        assert newest_checkpoint(uri) == str(run / TRAIN / newest)
        assert newest_iteration(uri) == iteration
        if newest == "iteration_000008":
            shutil.rmtree(run / TRAIN / newest)
            write_checkpoint(run, 8, DRAINED)
            write_checkpoint(run, 8)
            assert newest_checkpoint(uri) == str(run / TRAIN / newest)
        assert [path.name for path in (run / TRAIN).iterdir()] == [newest]


def test_what_is_no_checkpoint_is_left_alone(run: Path) -> None:
    other = run / TRAIN / "notes" / "state.json"
    other.parent.mkdir()
    other.write_text("{")
    newest_checkpoint(str(run))
    assert other.exists()


def test_a_checkpoint_of_another_version_is_left_for_the_worker_to_refuse(tmp_path: Path) -> None:
    place = write_checkpoint(tmp_path, 2)
    (place / "state.json").write_text(json.dumps({"version": 9}))
    assert newest_checkpoint(str(tmp_path)) == str(place)


def test_the_iteration_to_go_on_from_is_that_of_a_checkpoint_with_its_files(run: Path) -> None:
    newest = max(path for path in (run / TRAIN).iterdir() if path.is_dir())
    found = newest_iteration(str(run))
    assert found == int(newest.name.removeprefix("iteration_")) > 0
    (newest / "state.json").unlink()
    assert newest_iteration(str(run)) < found
    assert newest_iteration(str(run / "nowhere")) == 0


def test_a_run_that_has_not_begun_has_none(tmp_path: Path) -> None:
    assert newest_checkpoint(str(tmp_path / "nowhere")) is None
    assert newest_checkpoint(f"file://{tmp_path}/nowhere") is None


def test_a_checkpoint_is_found_below_a_uri(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 2)
    uri = f"file://{tmp_path}"
    assert newest_checkpoint(uri) == storage.join(uri, TRAIN, "iteration_000002")
