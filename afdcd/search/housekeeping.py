"""What is kept of a run that has come to its end, and what a person may have removed.

Of a completed run weights, picture and journal stay. Its checkpoint serves nobody any more, nor does that
of a run whose setting is at fault. A paused run keeps its own, for it may be taken up; so does a lost one.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from afdcd import storage
from afdcd.config import UserError
from afdcd.search.kept import Kept
from afdcd.search.rows import TRIALS, Entry
from afdcd.text import byte_count
from afdcd.training.job import Job, Outcome, Report, RunResult
from afdcd.training.resume import TRAIN

OVER: tuple[Outcome, ...] = ("completed", "infeasible")  # whose checkpoint serves nobody
LOGS = "tune"  # of a study's folder: Tune's own notes of the last driver


class Housekeeper:
    """Removes the checkpoints of runs that are over, in a thread of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "housekeeping")

    def started(self, job: Job) -> None:
        """It needs its checkpoint."""

    def reported(self, job: Job, report: Report) -> None:
        """It may go on."""

    def ended(self, job: Job, result: RunResult) -> None:
        if result.outcome in OVER:
            self._thread.submit(_removed, storage.join(job.folder, TRAIN))

    def interrupted(self) -> None:
        """The next driver needs what there is."""

    def close(self) -> None:
        self._thread.shutdown()


def sweep(kept: Kept) -> None:
    """Remove what a driver that was killed could not."""
    trials = storage.join(kept.folder, TRIALS)
    try:
        files = storage.walk(trials)
    except (OSError, UserError):
        return
    runs = {file.rpartition(f"/{TRAIN}/")[0] for file in files if f"/{TRAIN}/" in file}
    holding = {storage.join(trials, run) for run in runs}
    for entry in kept.entries() if holding else ():
        folder = entry.run.folder(kept.folder)
        if entry.outcome in OVER and folder in holding:
            _removed(storage.join(folder, TRAIN))


@dataclass(frozen=True)
class Item:
    """A folder of a study that can go.

    Attributes:
        why: what was in it, and why nobody needs it.
        size: bytes.
    """

    place: str
    why: str
    size: int


def to_be_cleaned(kept: Kept) -> Iterator[Item]:
    """What a study does not need to keep its record; what runs or waits is left alone."""
    for entry in kept.entries():
        if why := _reason(entry):
            yield from _item(storage.join(entry.run.folder(kept.folder), TRAIN), why)
    yield from _item(storage.join(kept.folder, LOGS), "notes of Ray Tune, read by nobody")


def kept_after(kept: Kept, items: list[Item]) -> Iterator[str]:
    """What stays, and why, in a few lines."""
    whole = sum(item.size for item in _item(kept.folder, ""))
    size = byte_count(whole - sum(item.size for item in items))
    yield f"{size:>9}  stays: weights, pictures and journals, the record of {len(kept.entries())} runs"
    for entry in kept.entries():
        if entry.outcome is None or entry.outcome == "killed":
            yield f"           with the checkpoint of trial {entry.run}, which goes on"


def clean(items: list[Item]) -> None:
    """Remove them.

    Raises:
        UserError: the place cannot be written to.
    """
    for item in items:
        try:
            storage.remove_folder(item.place)
        except OSError as error:
            raise UserError(f"{item.place}: cannot be removed: {error}") from None


def _reason(entry: Entry) -> str:
    title = f"checkpoint of trial {entry.run}"
    if entry.outcome in OVER:
        return f"{title}, which is {entry.outcome}"
    if entry.outcome == "paused":
        return f"{title}, paused at {entry.reached}: if it is taken up again, it begins anew"
    return f"{title}, which was given up" if entry.outcome == "lost" else ""


def _item(place: str, why: str) -> Iterator[Item]:
    files = storage.walk(place)
    if files:
        size = sum(storage.size(storage.join(place, file)) or 0 for file in files)
        yield Item(place, why, size)


def _removed(folder: str) -> None:
    with suppress(OSError, UserError):  # `afdcd study clean` finds what stays
        storage.remove_folder(folder)
