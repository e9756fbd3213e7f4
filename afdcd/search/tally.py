"""How far a study is: its best score so far, what it cost, how many runs are left and how long they take."""

import statistics
from collections.abc import Callable

from afdcd.search.patience import briefly
from afdcd.search.watched import duration
from afdcd.tasks.score import Score
from afdcd.text import percent
from afdcd.training.job import FINISHED, Job, Report, RunResult


class Tally:
    """Counts what the runs report; the arguments are those of `Progress`.

    Attributes:
        wanted: how many runs the study will have in all, as it was last reckoned; None outside a study.
        cost: of all runs so far, in words; empty before the first report.
    """

    def __init__(
        self,
        best: tuple[Score, str] | None,
        wanted: Callable[[], int] | None,
        *,
        done: int,
        before: float,
    ) -> None:
        self._best, self._count, self._done, self._before = best, wanted, done, before
        self.wanted = wanted() if wanted else None
        self._finished: set[str] = set()
        self._took: list[float] = []  # seconds of each completed run
        self._together = 1  # most runs at the same time so far
        self._spent: dict[str, float] = {}
        self.cost = ""

    @property
    def finished(self) -> int:
        """Runs of the study that have come to an end, and need not be run again."""
        return self._done + len(self._finished)

    def running(self, runs: int) -> None:
        """So many go on at the same time now."""
        self._together = max(self._together, runs)

    def reported(self, job: Job, report: Report) -> None:
        total = job.config.training.iterations
        counts = report.iteration == total and job.repeats is None  # else the luckiest seed won
        if counts and report.score.beats(self._best and self._best[0]):
            self._best = (report.score, job.title)
        self._spent[job.name] = report.device_hours
        spent = self._before + sum(self._spent.values())
        unit = {"cuda": "GPU"}.get(report.device, report.device.upper())
        self.cost = f"{spent:.3f} {unit}-hours"

    def ended(self, job: Job, result: RunResult, seconds: float | None) -> None:
        """A run is over.

        Args:
            seconds: since it was started here; None where it was not.
        """
        if self._count:
            self.wanted = briefly(self._count, self.wanted)
        if result.outcome in FINISHED:
            self._finished.add(job.name)
        if seconds is not None and result.outcome == "completed":
            before = result.last.seconds if result.last else 0.0  # by earlier drivers too
            self._took.append(max(seconds, before))

    @property
    def best(self) -> str:
        return f"best {percent(self._best[0].value)} ({self._best[1]})" if self._best else ""

    @property
    def study(self) -> str:
        """How far the study is, and how long it will take by the runs that were completed here."""
        if self.wanted is None:
            return ""
        eta = ""
        if self._took:
            left = max(0, self.wanted - self.finished)
            eta = f"  ETA {duration(left * statistics.median(self._took) / self._together)}"
        return f"study {self.finished}/{self.wanted}{eta}"
