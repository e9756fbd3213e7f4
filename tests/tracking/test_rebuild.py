"""A study on one MLflow, made anew in an empty one, and compared field by field."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

from afdcd.data.shards.manifest import read_manifest
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.tracking.datasets import dataset_input
from afdcd.tracking.rebuild import rebuild
from afdcd.tracking.records import RunRecord
from afdcd.tracking.tracker import Tracker
from tests.tracking.made import record, study, trained

METRICS = {"miou": 0.4, "trials_completed": 2.0, "cpu_hours": 3.5}


@pytest.fixture
def records(tmp_path: Path) -> list[RunRecord]:
    """A teacher, and trials that ended in every way."""
    ends: dict[str, dict[str, Any]] = {
        "trial-0000": {"outcome": "completed", "tags": {"reference": "yes"}},
        "trial-0001": {"outcome": "paused", "training__lr": 0.1},
        "trial-0002": {"outcome": "infeasible", "cause": "loss term kd is not finite"},
        "trial-0003": {"outcome": "lost", "cause": "disk full"},
        "trial-0004": {"outcome": "killed"},
        "trial-0005": {},
    }
    trials = [record(tmp_path / "runs", name, **end) for name, end in ends.items()]
    found = [record(tmp_path / "runs", "teacher", study=None, outcome="completed"), *trials]
    for number, each in enumerate(found):
        if each.outcome != "infeasible":
            trained(each.job, *(0.1 * n + number / 100 for n in range(1, 4)))
    return found


@pytest.fixture
def driver(mlflow_storage: Path, tmp_path: Path) -> Iterator[Tracker]:
    """What the study was first written by."""
    root = str(tmp_path / "shards")
    prepare_synthetic(root, SyntheticConfig(height=64, width=80, train=1, val=1, test=1))
    tracker = Tracker()
    tracker.data = dataset_input(root, read_manifest(root), "dev")
    yield tracker
    tracker.close()


def live(tracker: Tracker, records: list[RunRecord]) -> None:
    """The same study as it is written while it goes on."""
    tracker.open_study(study(tags={"space": "street.yaml"}, metrics=METRICS))
    for each in records:
        tracker.update(replace(each, outcome=None, cause=""))
    assert tracker.flush(30)
    for each in records:
        tracker.update(each)
    tracker.close_study(study(tags={"space": "street.yaml"}, metrics=METRICS, outcome="completed"))
    assert tracker.flush(30)


def image(tracker: Tracker) -> dict[str, Any]:
    """All runs by name, without what a server gives by itself: ids and the hour of writing."""
    client, runs = tracker.client, tracker.client.search_runs([tracker.experiment])
    names = {run.info.run_id: run.info.run_name for run in runs}
    assert len(set(names.values())) == len(runs)
    found = {}
    for run in runs:
        tags = dict(run.data.tags)
        tags["mlflow.parentRunId"] = names.get(tags.get("mlflow.parentRunId", ""), "")
        points = {
            name: sorted(
                # The numbers of the study itself are dated when they are written.
                (p.step, p.value, p.timestamp if "afdcd.run" in tags else 0)
                for p in client.get_metric_history(run.info.run_id, name)
            )
            for name in run.data.metrics
        }
        files = client.list_artifacts(run.info.run_id)
        found[run.info.run_name] = {
            "status": run.info.status,
            "tags": tags,
            "params": dict(run.data.params),
            "points": points,
            "inputs": [given.to_dictionary() for given in run.inputs.dataset_inputs],
            "files": {file.path: content(run, file.path) for file in files},
        }
    return found


def content(run: Any, path: str) -> bytes:
    folder = str(run.info.artifact_uri)
    return Path(mlflow.artifacts.download_artifacts(f"{folder}/{path}")).read_bytes()


def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: Path) -> Tracker:
    """A tracker of an MLflow that has never heard of anything."""
    (tmp_path / "second").mkdir()
    shutil.copy(empty, tmp_path / "second" / "mlflow.db")
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "second"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    return Tracker()


def test_an_empty_server_shows_the_same_as_the_first_one(
    driver: Tracker,
    records: list[RunRecord],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    _empty_database: Path,
) -> None:
    live(driver, records)
    wanted = image(driver)
    second = elsewhere(tmp_path, monkeypatch, _empty_database)
    assert image(second) == {}
    second.data = driver.data
    ended = study(tags={"space": "street.yaml"}, metrics=METRICS, outcome="completed")
    lines = rebuild(second, ended, records)
    found = image(second)
    assert found.keys() == wanted.keys()
    for name, fields in wanted.items():
        for field, value in fields.items():
            assert found[name][field] == value, (name, field)
    assert len(lines) == len(records) + 1
    assert lines[0] == "study street: run made, 3 points, data set, FINISHED"
    assert lines[2].startswith("trial-0000 afdcd: run made, ")
    assert lines[2].endswith(" points, data set, picture, FINISHED")
    assert json.dumps(wanted["trial-0000 afdcd"]["points"]["miou"]).count("[") == 4
    assert wanted["trial-0000 afdcd"]["files"]["panel.png"] == b"png of trial-0000"
    assert rebuild(second, ended, records) == [
        f"study street: MLflow has all of it ({len(records)} runs)"
    ]


def test_half_of_it_is_completed_and_a_damaged_run_holds_up_no_other(
    driver: Tracker, records: list[RunRecord], tmp_path: Path
) -> None:
    live(driver, records[:3])
    wanted = image(driver)
    journal = Path(records[4].job.folder) / "journal" / "00000002.json"
    journal.write_text("{")
    ended = study(tags={"space": "street.yaml"}, metrics=METRICS, outcome="completed")
    lines = rebuild(driver, ended, records)
    assert [line.partition(":")[0] for line in lines] == [
        f"trial-{number:04d} afdcd" for number in (2, 3, 4, 5)
    ]
    assert "no report of a run; restore it or delete it" in lines[1]
    found = image(driver)
    assert len(found) == len(records) + 1
    for name, fields in wanted.items():
        assert found[name] == fields
