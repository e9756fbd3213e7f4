"""A study as MLflow is told of it, made from the study database alone."""

from collections import Counter
from collections.abc import Callable, Sequence

import optuna

from afdcd.config import validate
from afdcd.search.ledger import other_hours
from afdcd.search.rows import Entry, ranked
from afdcd.search.wishes import measure_of
from afdcd.tracking.records import RunRecord, StudyRecord
from afdcd.tracking.tracker import Tracker
from afdcd.training.job import Job, Outcome, Report, RunResult
from afdcd.training.trial import TrialConfig

COUNTED = ("completed", "paused", "infeasible", "lost", "running")


CHOSEN = "chosen"  # study attribute: the trials that were registered, best first


def is_maximised(study: optuna.Study) -> bool:
    return study.direction == optuna.study.StudyDirection.MAXIMIZE


def study_record(
    study: optuna.Study, entries: Sequence[Entry], outcome: Outcome | None = None
) -> StudyRecord:
    """The parent run: best score, cost, and how many runs ended how."""
    attributes = study.user_attrs
    frame = attributes.get("frame", {})
    tags = {
        "dataset": f"{frame.get('data.dataset')}/{frame.get('data.protocol')}",
        "data_digest": str(frame.get("data digest")),
    }
    counts: Counter[str] = Counter(entry.outcome or "running" for entry in entries)
    # A count that is left out would stay in MLflow as it was last.
    metrics = {f"runs_{name}": float(counts[name]) for name in COUNTED}
    metrics["device_hours"] = sum(e.device_hours for e in entries) + other_hours(attributes)
    best = next(iter(ranked(entries, maximise=is_maximised(study))), None)
    measure = measure_of(attributes)
    if best and best.value is not None:
        metrics[measure.name] = best.value
    return StudyRecord(attributes["id"], study.study_name, tags, metrics, outcome, measure.name)


def run_records(study: str, entries: Sequence[Entry], folder: str) -> list[RunRecord]:
    """Every run that has begun of the study with this id; `folder` is the study's."""
    begun = [entry for entry in entries if entry.setting is not None]
    return [RunRecord(job_of(one, folder), study, one.outcome, one.cause) for one in begun]


def sign_of(entry: Entry) -> tuple[str, str, Outcome | None, int]:
    """By which MLflow is seen to have all of a run that ended (`Tracker.told_of`)."""
    return (entry.run.name, entry.identity or "", entry.outcome, entry.reached)


def job_of(entry: Entry, folder: str) -> Job:
    """The job of a run as it was when it began."""
    config = validate(TrialConfig, entry.setting)
    return Job(
        name=entry.run.name,
        title=entry.run.title(config),
        config=config,
        folder=entry.run.folder(folder),
        identity=entry.identity or "",
        repeats=entry.run.repeats,
    )


class Recorder:
    """Hands what happens on to MLflow, as records and without waiting for it.

    Args:
        study: its id; None outside of a study.
        describe: the study's record as it is now, given its outcome.
    """

    def __init__(
        self,
        tracker: Tracker,
        study: str | None = None,
        describe: Callable[[Outcome | None], StudyRecord] | None = None,
    ) -> None:
        self._tracker, self._study, self._describe = tracker, study, describe

    def started(self, job: Job) -> None:
        self._tracker.update(RunRecord(job, self._study))

    def reported(self, job: Job, report: Report) -> None:
        self._tracker.update(RunRecord(job, self._study))

    def ended(self, job: Job, result: RunResult) -> None:
        self._tracker.update(RunRecord(job, self._study, result.outcome, result.cause))
        if self._describe:
            self._tracker.open_study(self._describe(None))

    def interrupted(self) -> None:
        if self._describe:
            self._tracker.close_study(self._describe("killed"))
        self._tracker.flush(2.0)
