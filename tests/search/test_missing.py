"""Weights that a study's folder lacks: taken from MLflow if they are this run's, else said."""

from pathlib import Path

import pytest

from afdcd import storage
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, save_network
from afdcd.search.kept import Kept
from afdcd.search.missing import bring_back
from afdcd.search.records import job_of
from afdcd.search.rows import RunKey
from afdcd.search.study import Study
from afdcd.tracking.records import RunRecord
from afdcd.tracking.registry import Version, register
from afdcd.tracking.tracker import Tracker
from afdcd.training.artifacts import STUDENT_FILE, trouble_with
from tests.search.studies import opened, run_to_the_end

MODEL = ModelConfig(head="pspnet", encoder="timm:lcnet_050", aux=False)


@pytest.fixture
def tracker(mlflow_storage: Path) -> Tracker:
    return Tracker()


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A study of three completed runs, the last the best, whose files are all gone."""
    study: Study = opened(tmp_path)
    for value in (0.1, 0.2, 0.3):
        run_to_the_end(study, value)
    return Kept(study.study, str(tmp_path / "new"))


def weights(folder: Path, identity: str) -> bytes:
    card = NetworkCard(
        model=MODEL,
        dataset="synthetic",
        classes=SYNTHETIC.classes,
        palette=SYNTHETIC.palette,
        normalisation="imagenet",
        fingerprint=identity,
    )
    save_network(folder / "w.safetensors", MODEL.build(len(SYNTHETIC.classes)), card)
    return (folder / "w.safetensors").read_bytes()


def registered(
    kept: Kept, number: int, tracker: Tracker, folder: Path, identity: str = ""
) -> bytes:
    (entry,) = [e for e in kept.entries() if e.first == number]
    tracker.update(RunRecord(job_of(entry, kept.folder), kept.id, "completed"))
    made = weights(folder, identity or entry.identity or "")
    run = tracker.run_of(entry.run.name, kept.id)
    given = Version(name="s", run=run, tags={}, description="", study=kept.id)
    register(tracker.client, given, made)
    return made


def place(kept: Kept, number: int) -> str:
    return storage.join(RunKey(number).folder(kept.folder), STUDENT_FILE)


def test_what_mlflow_has_is_taken_and_the_rest_is_named(
    kept: Kept, tracker: Tracker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = registered(kept, 2, tracker, tmp_path)
    capsys.readouterr()
    bring_back(kept, tracker, keep=2)
    took, left = capsys.readouterr().out.splitlines()
    assert "took the weights of trial 2 from MLflow" in took
    assert f"warning: the weights of trial 1 are missing in {kept.folder}" in left
    assert "set AFDCD_STORAGE" in left
    assert storage.read_bytes(place(kept, 2)) == made
    (best,) = [e for e in kept.entries() if e.first == 2]
    assert trouble_with(place(kept, 2), best.identity or "") is None
    bring_back(kept, tracker, keep=1)
    assert capsys.readouterr().out == ""


def test_the_network_of_another_run_is_not_taken(
    kept: Kept, tracker: Tracker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registered(kept, 2, tracker, tmp_path, identity="f" * 64)
    capsys.readouterr()
    bring_back(kept, tracker, keep=1)
    assert "the weights of trial 2 are missing" in capsys.readouterr().out
    assert not storage.exists(place(kept, 2))


def test_a_study_that_lacks_nothing_says_nothing(
    kept: Kept, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        storage.write_bytes(place(kept, number), b"here")
    bring_back(kept, tracker, keep=3)
    assert capsys.readouterr().out == ""
