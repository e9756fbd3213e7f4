"""A study in MLflow made anew: from the study's own records and the journals of its runs."""

from afdcd.config import UserError
from afdcd.tracking import runs
from afdcd.tracking.pages import Place
from afdcd.tracking.records import RunRecord, StudyRecord
from afdcd.tracking.server import reason, refusals
from afdcd.tracking.tracker import Tracker


def rebuild(tracker: Tracker, study: StudyRecord, records: list[RunRecord]) -> list[str]:
    """Bring a server, empty or half filled, to what is known of a study.

    Returns:
        A line for everything that was missing, or one that says that nothing was.

    Raises:
        UserError: MLflow refuses or does not answer; doing it again goes on.
    """
    place = Place(tracker.client, tracker.experiment, tracker.commit, tracker.data)
    with refusals():
        parent = _said(f"study {study.name}", runs.project_study(place, study))
        lines = [parent, *(_run(place, record) for record in records)]
    missing = [line for line in lines if line]
    return missing or [f"study {study.name}: MLflow has all of it ({len(records)} runs)"]


def _run(place: Place, record: RunRecord) -> str:
    try:
        return _said(record.job.title, runs.project_run(place, record))
    except UserError as error:  # a file of the run; MLflow's own errors are not of this kind
        return f"{record.job.title}: {reason(error)}"


def _said(title: str, change: runs.Change) -> str:
    """What was done for a run; nothing where nothing was missing."""
    made = ["run made"] if change.made else []
    points = [f"{change.points} points"] if change.points else []
    done = [*made, *points, *change.done]
    return f"{title}: {', '.join(done)}" if done else ""
