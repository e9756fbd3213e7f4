"""MLflow runs that tell the truth: study = parent, trial = child, one run per job for ever.

A job that is restarted, even by a new driver, continues its own run; points already logged are not
logged twice. While the server does not answer, what should be logged is kept and sent later.
"""

import math
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.entities import DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from afdcd import storage
from afdcd.config import UserError
from afdcd.tracking.server import check_experiment, connect, reason, refusals
from afdcd.training.artifacts import PANEL_FILE
from afdcd.training.job import Job, RunResult
from afdcd.version import git_commit

PARENT = "mlflow.parentRunId"
JOB = "afdcd.job"
STATUS = {"completed": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
BATCH = 1000  # metrics per request, the server's limit


class Tracker:
    """Records jobs as runs. One instance per driver; the only code that writes to MLflow's runs."""

    def __init__(self) -> None:
        self.client, self.experiment = connect()
        check_experiment(self.client, self.experiment)
        self.commit = git_commit()
        self._runs: dict[str, str] = {}  # job name -> run id
        self._logged: dict[str, int] = {}  # job name -> last iteration in MLflow
        self._waiting: deque[Callable[[], Any]] = deque()
        self.parent: str | None = None
        self.data: DatasetInput | None = None  # what every run of this driver learns from

    def open_study(self, name: str, tags: dict[str, str], outcomes: dict[str, str]) -> None:
        """Start or continue the parent run of a study; jobs started later become its children.

        Args:
            outcomes: how jobs ended (job name -> outcome). A run that a killed driver left
                RUNNING gets the status of its outcome, KILLED if it has none.
        """
        with refusals():
            run = self._find(f"tags.`{JOB}` = 'study/{name}'")
            self.parent = run or self._create(f"study/{name}", name, tags)
            self._note_data(self.parent)
            self.client.update_run(self.parent, status="RUNNING")
            query = f"tags.`{PARENT}` = '{self.parent}' and attributes.status = 'RUNNING'"
            for left in self._search(query):
                outcome = outcomes.get(self.client.get_run(left).data.tags[JOB], "killed")
                self.client.set_terminated(left, STATUS[outcome])

    def close_study(self, status: str) -> None:
        self._attempt(lambda: self.client.set_terminated(self.parent, status))

    def run_of(self, job_name: str) -> str:
        """The run id of a job of this study, of this driver or an earlier one.

        Raises:
            UserError: there is none, e.g. because the study ran against another server.
        """
        with refusals():
            run = self._runs.get(job_name) or self._known(job_name)
        if run is None:
            raise UserError(f"MLflow has no run of {job_name}; set MLFLOW_TRACKING_URI as before")
        return run

    def started(self, job: Job) -> None:
        """Open the job's run; of an earlier attempt, the same one."""
        self._attempt(lambda: self._start(job))

    def reported(self, job: Job, result: dict[str, Any]) -> None:
        """Log one validation and the loss curve that led to it."""
        stamp = int(time.time() * 1000)
        self._attempt(lambda: self._log(job, result, stamp))

    def ended(self, job: Job, end: RunResult) -> None:
        """Close the job's run with its outcome; a completed one gets its picture."""
        self._attempt(lambda: self._finish(job, end))

    def interrupted(self) -> None:
        """Close the study's run too: there may be no time for it later."""
        if self.parent:
            self.close_study("KILLED")

    def flush(self) -> bool:
        """Send what waits; False if the server still does not answer."""
        self._attempt(lambda: None)
        return not self._waiting

    def _attempt(self, call: Callable[[], Any]) -> None:
        """Make the calls in their order; keep them while the server does not answer."""
        self._waiting.append(call)
        while self._waiting:
            try:
                with refusals(patient=True):
                    self._waiting[0]()
            except (MlflowException, OSError) as error:
                if len(self._waiting) == 1:
                    print(f"warning: MLflow: {reason(error)}", file=sys.stderr)
                return
            except UserError:
                self._waiting.popleft()  # it would be refused again, and hold up all that follow
                raise
            self._waiting.popleft()

    def _start(self, job: Job) -> None:
        run = self._known(job.name) or self._create(job.name, job.title, _tags(job), self.parent)
        known = self.client.get_run(run).data
        if not known.params:  # also where the server fell silent after creating the run
            params = [Param(key, str(value)[:6000]) for key, value in _flat(job.config.plain())]
            self.client.log_batch(run, params=params)
        self._note_data(run)
        self.client.update_run(run, status="RUNNING")
        self._runs[job.name] = run
        self._logged[job.name] = int(known.metrics.get("iteration", 0))

    def _log(self, job: Job, result: dict[str, Any], stamp: int) -> None:
        done = self._logged.get(job.name, 0)
        metrics = [m for m in _metrics(result, stamp) if m.step > done]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(self._runs[job.name], metrics=metrics[start : start + BATCH])
        self._logged[job.name] = max(done, result["iteration"])

    def _finish(self, job: Job, end: RunResult) -> None:
        run = self._runs[job.name]
        tags = {"outcome": end.outcome, **({"cause": end.cause[:5000]} if end.cause else {})}
        self.client.log_batch(run, tags=[RunTag(key, value) for key, value in tags.items()])
        picture = storage.join(job.folder, PANEL_FILE)
        if end.outcome == "completed" and storage.exists(picture):
            self.attach(run, PANEL_FILE, storage.read_bytes(picture))
        self.client.set_terminated(run, STATUS[end.outcome])

    def note(self, run: str, name: str, value: float) -> None:
        """Log one number of a finished run, once however often it is noted."""
        with refusals():
            if self.client.get_run(run).data.metrics.get(name) != value:
                self.client.log_metric(run, name, value)

    def attach(self, run: str, name: str, data: bytes, folder: str | None = None) -> None:
        """Store `data` as the run's artifact `folder/name`."""
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / name
            path.write_bytes(data)
            self.client.log_artifact(run, str(path), folder)

    def _note_data(self, run: str) -> None:
        """List the data set among the run's inputs; MLflow does not list it a second time."""
        if self.data:
            self.client.log_inputs(run, [self.data])

    def _create(self, key: str, title: str, tags: dict[str, str], parent: str | None = None) -> str:
        tags = {JOB: key, "git_commit": self.commit, **tags, **({PARENT: parent} if parent else {})}
        return self.client.create_run(self.experiment, run_name=title, tags=tags).info.run_id

    def _known(self, job_name: str) -> str | None:
        scope = f" and tags.`{PARENT}` = '{self.parent}'" if self.parent else ""
        return self._find(f"tags.`{JOB}` = '{job_name}'{scope}")

    def _find(self, query: str) -> str | None:
        return next(iter(self._search(query)), None)

    def _search(self, query: str) -> list[str]:
        runs = self.client.search_runs([self.experiment], query, max_results=1000)
        return [run.info.run_id for run in runs]


def _tags(job: Job) -> dict[str, str]:
    config = job.config
    return {
        "pair": config.pair.label,
        "dataset": f"{config.data.dataset}/{config.data.protocol}",
        "method": config.distiller.method,
    }


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested config values under dotted names, as MLflow compares parameters."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        elif value is not None:
            found.append((prefix + name, value))
    return found


def _metrics(result: dict[str, Any], stamp: int) -> list[Metric]:
    """One report as MLflow metrics: scores at its iteration, losses at theirs."""
    step = result["iteration"]
    known = ("miou", "pixel_accuracy", "iteration")
    scores: dict[str, float] = {name: result[name] for name in known if name in result}
    scores |= {f"iou/{name}": value for name, value in result.get("iou", {}).items()}
    if "seconds" in result:
        scores[f"{result['device']}_hours"] = device_hours(result)
    curve = result.get("curve", {"iteration": []})
    metrics = [
        Metric(name if name == "lr" else f"loss/{name}", value, stamp, at)
        for name, values in curve.items()
        if name != "iteration"
        for at, value in zip(curve["iteration"], values, strict=True)
    ]
    # A class that occurs nowhere has no IoU: nothing to log.
    return metrics + [Metric(k, v, stamp, step) for k, v in scores.items() if not math.isnan(v)]


def device_hours(result: dict[str, Any]) -> float:
    """GPU-hours (CPU-worker-hours without GPUs) that the job has used so far, lost attempts excepted."""
    return float(result.get("seconds", 0.0) * result.get("devices", 1) / 3600)
