"""Weights of a study that its folder lacks, as after a machine's disk was replaced."""

import tempfile
from contextlib import suppress
from pathlib import Path

from afdcd import storage
from afdcd.config import UserError
from afdcd.models.weights import load_network
from afdcd.search.kept import Kept
from afdcd.search.records import is_maximised
from afdcd.search.rows import Entry, ranked
from afdcd.search.say import say
from afdcd.text import shown
from afdcd.tracking.registry import weights_of
from afdcd.tracking.tracker import Tracker
from afdcd.training.artifacts import STUDENT_FILE


def bring_back(kept: Kept, tracker: Tracker, keep: int) -> None:
    """Take what MLflow has, and say what nobody has, before anything is paid for.

    Only what was registered is in MLflow. The study goes on without the rest: those runs keep their
    scores and cannot be registered.

    Args:
        keep: how many of the best are looked for.
    """
    best = ranked(kept.entries(), maximise=is_maximised(kept.study))
    gone = [entry for entry in best[:keep] if not storage.exists(_place(kept, entry))]
    back = [entry for entry in gone if _brought(kept, entry, tracker)]
    if back:
        say(f"took the weights of {_names(back)} from MLflow: their files were missing")
    if left := [entry for entry in gone if entry not in back]:
        say(
            f"warning: the weights of {_names(left)} are missing in {shown(kept.folder)}, so they "
            "cannot be registered: if they are elsewhere, stop this and set AFDCD_STORAGE to that place"
        )


def _place(kept: Kept, entry: Entry) -> str:
    return storage.join(entry.run.folder(kept.folder), STUDENT_FILE)


def _brought(kept: Kept, entry: Entry, tracker: Tracker) -> bool:
    """Whether MLflow had the weights of exactly this run."""
    with suppress(UserError):
        run = tracker.run_of(entry.run.name, kept.id)
        for weights in weights_of(tracker.client, run):
            if _identity(weights) == entry.identity:
                storage.write_bytes(_place(kept, entry), weights)
                return True
    return False


def _identity(weights: bytes) -> str | None:
    """Of the run that these are of, as their card says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STUDENT_FILE
        path.write_bytes(weights)
        return load_network(path)[1].fingerprint


def _names(entries: list[Entry]) -> str:
    few = ", ".join(str(entry.run) for entry in entries[:10])
    more = f" and {len(entries) - 10} more" if len(entries) > 10 else ""
    return f"trial{'s' * (len(entries) > 1)} {few}{more}"
