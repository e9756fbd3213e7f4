"""A small study with journals, as the search would record it, and what MLflow shows of it."""

import math
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from afdcd import storage
from afdcd.tasks.score import Score
from afdcd.tracking.records import RunRecord, StudyRecord
from afdcd.training import journal
from afdcd.training.artifacts import PANEL_FILE
from afdcd.training.job import Job, Report
from tests.examples import job

STUDY = "5d1c0b7e-0000-4000-8000-000000000001"
AT = 1_790_000_000.0  # seconds since 1970


def report(iteration: int, value: float = 0.3, **changes: Any) -> Report:
    values = {
        "iteration": iteration,
        "score": Score(
            name="miou",
            value=value,
            parts={"pixel_accuracy": 0.8, "iou/sky": 0.9, "iou/car": math.nan},
        ),
        "seconds": 1800.0,
        "devices": 2,
        "device": "cpu",
        "curve": {
            "iteration": [float(iteration - 1), float(iteration)],
            "task": [2.0, 1.0],
            "lr": [0.1, 0.05],
        },
        "at": AT + iteration,
    }
    return Report(**{**values, **changes})


def record(
    folder: Path | str, name: str = "trial-0000", study: str | None = STUDY, **changes: Any
) -> RunRecord:
    """Of a job whose folder lies in `folder`; settings by name, e.g. `training__lr=0.1`."""
    known = ("outcome", "cause", "tags")
    told = {key: changes.pop(key) for key in known if key in changes}
    return RunRecord(job(name, f"{folder}/{name}", **changes), study, **told)


def study(**changes: Any) -> StudyRecord:
    return StudyRecord(**{"id": STUDY, "name": "street", **changes})


def trained(job: Job, *values: float) -> None:
    """The journal and the picture of a run that was validated at 2, 4, ..."""
    for place, value in enumerate(values, 1):
        journal.write(job.folder, report(2 * place, value))
    storage.write_bytes(storage.join(job.folder, PANEL_FILE), f"png of {job.name}".encode())


def points(client: MlflowClient, run: str, metric: str) -> list[tuple[int, float]]:
    return sorted((p.step, p.value) for p in client.get_metric_history(run, metric))
