"""A small valid trial, and jobs made from it, for tests that need one to start from."""

import copy
from typing import Any

from afdcd.config import validate
from afdcd.tasks.score import Score
from afdcd.training.job import Job, Report
from afdcd.training.trial import TrialConfig

STUDENT = {"head": "pspnet", "encoder": "timm:lcnet_050"}
TRIAL: dict[str, Any] = {
    "data": {"dataset": "synthetic", "root": "shards", "crop": [64, 64]},
    "pair": {
        "student": STUDENT,
        "teacher": {
            "model": {"head": "pspnet", "encoder": "timm:resnet10t"},
            "train": {"iterations": 20, "validate_every": 10, "batch": 4},
        },
    },
    "distiller": {"method": "afdcd", "groups": 8, "patch": 2, "pool": 0},
    "training": {"iterations": 4, "validate_every": 2, "batch": 4, "lr": 0.01},
}


def trial_values(**changes: Any) -> dict[str, Any]:
    """`TRIAL` with some values changed: `trial_values(training__lr=0.1)`."""
    values = copy.deepcopy(TRIAL)
    for name, value in changes.items():
        *parents, last = name.split("__")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return values


def trial(**changes: Any) -> TrialConfig:
    return validate(TrialConfig, trial_values(**changes))


def job(name: str = "trial-0000", folder: str = "nowhere", **changes: Any) -> Job:
    config = trial(**changes)
    return Job(
        name=name,
        title=f"{name} {config.distiller.method}",
        config=config,
        folder=folder,
        identity=config.fingerprint("data", "teacher"),
    )


def score(value: float = 0.25, **parts: float) -> Score:
    """A mean IoU, as every task so far is judged by."""
    return Score(name="miou", value=value, parts=parts)


def report(iteration: int = 2, value: float = 0.25, **changes: Any) -> Report:
    """Of a validation of `job()`, which has four iterations."""
    given = Report(
        iteration=iteration, score=score(value), seconds=1800.0, devices=2, device="cuda"
    )
    return given.model_copy(update=changes)
