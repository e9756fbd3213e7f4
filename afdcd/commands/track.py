"""MLflow from a study's own record."""

from afdcd.search.kept import kept_study
from afdcd.tracking.rebuild import rebuild
from afdcd.tracking.tracker import Tracker


def execute(name: str) -> int:
    """Bring MLflow up to date with a study; the exit status.

    Raises:
        UserError: no such study, or no MLflow.
    """
    kept = kept_study(name)
    tracker = Tracker()
    tracker.data = kept.data()
    try:
        for line in rebuild(tracker, kept.record(), kept.runs()):
            print(line)
    finally:
        tracker.close()
    return 0
