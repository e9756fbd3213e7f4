"""A job's settings and reports in MLflow's own words: parameters, tags and metrics."""

import math
import time
from typing import Any

from mlflow.entities import Metric

from afdcd.text import shown
from afdcd.training.job import Job, Report
from afdcd.training.trial import TrialConfig

LONGEST_PARAMETER = 6000  # characters, of the column
LONGEST_TAG = 5000
STEP = "iteration"  # the metric that says how far a run's points are written


def parameters(config: TrialConfig) -> dict[str, str]:
    """The configuration under dotted names, as MLflow compares runs; no URI with its password."""
    flat = _flat(config.plain())
    return {name: shown(str(value))[:LONGEST_PARAMETER] for name, value in flat.items()}


def told(tags: dict[str, str]) -> dict[str, str]:
    """Tags as they may leave this process."""
    return {name: shown(str(value))[:LONGEST_TAG] for name, value in tags.items()}


def labels(job: Job) -> dict[str, str]:
    """What people filter and group runs by."""
    config = job.config
    return {
        "pair": config.pair.label,
        "dataset": f"{config.data.dataset}/{config.data.protocol}",
        "method": config.distiller.method,
    }


def points(report: Report) -> list[Metric]:
    """One report as metrics: losses at their iterations, scores at its own, `iteration` last.

    What is no number is left out: a class that occurs nowhere has no score. A report that does not
    say when it was made is dated now.
    """
    stamp = int(1000 * (report.at or time.time()))
    scores = {
        report.score.name: report.score.value,
        **report.score.parts,
        f"{report.device}_hours": report.device_hours,
        STEP: float(report.iteration),  # last: whoever sees it knows that the others are there
    }
    curve = [
        Metric(name if name == "lr" else f"loss/{name}", value, stamp, int(at))
        for name, values in report.curve.items()
        if name != "iteration"
        for at, value in zip(report.curve["iteration"], values, strict=True)
    ]
    made = [Metric(name, value, stamp, report.iteration) for name, value in scores.items()]
    return [metric for metric in curve + made if math.isfinite(metric.value)]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            found[prefix + name] = value
    return found
