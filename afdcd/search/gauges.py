"""What a study tells Prometheus, through Ray: only where it joined a cluster, for nobody watches a local one.

A report changes a few numbers in memory, which takes about a microsecond. A thread hands them to Ray every
ten seconds. Ray puts `ray_` before each name and shows them on the metrics port of the driver's node.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from afdcd.search.rows import Entry
from afdcd.tasks.score import Score
from afdcd.training.job import Job, Report, RunResult

EVERY = 10.0  # seconds between two looks
OUTCOMES = ("running", "completed", "paused", "infeasible", "lost", "killed")


@dataclass(frozen=True)
class Figures:
    """A study in numbers, as they are exported.

    Attributes:
        runs: how many runs are in each of `OUTCOMES`; one that was lost and goes on is running again.
        lost: attempts that a machine ended, over the study's whole life.
        wanted: how many runs the study will have in all.
        best: best full-length score so far.
        progressed: when a run last started, reported or ended, in seconds since 1970.
    """

    runs: dict[str, int]
    lost: int
    wanted: int
    device_hours: float
    best: float | None
    progressed: float


@dataclass
class Gauges:
    """Listens to a study's loop and keeps its figures.

    Args:
        wanted: see `Figures`; asked where the figures are, not where a report comes in.
        before: device-hours of the runs that had ended before.
        clock: seconds since 1970.
    """

    wanted: Callable[[], int | None]
    before: float = 0.0
    best: Score | None = None
    clock: Callable[[], float] = time.time
    _runs: dict[str, str] = field(default_factory=dict)
    _spent: dict[str, float] = field(default_factory=dict)
    _lost: int = 0
    _progressed: float = 0.0

    def __post_init__(self) -> None:
        self._progressed = self.clock()

    def know(self, entries: Iterable[Entry]) -> "Gauges":
        """Take in what earlier drivers brought about."""
        for entry in entries:
            self._lost += len(entry.losses)
            if entry.outcome:
                self._runs[entry.run.name] = entry.outcome
        return self

    def started(self, job: Job) -> None:
        self._runs[job.name] = "running"
        self._progressed = self.clock()

    def reported(self, job: Job, report: Report) -> None:
        self._spent[job.name] = report.device_hours
        whole = report.iteration == job.config.training.iterations
        if whole and job.repeats is None and report.score.beats(self.best):
            self.best = report.score
        self._progressed = self.clock()

    def ended(self, job: Job, result: RunResult) -> None:
        self._runs[job.name] = result.outcome
        self._lost += result.outcome == "lost"
        self._progressed = self.clock()

    def interrupted(self) -> None:
        """What is known stays true."""

    def figures(self) -> Figures:
        counts = Counter(list(self._runs.values()))  # a copy: the loop may add to it meanwhile
        spent = self.before + sum(list(self._spent.values()))
        best = self.best.value if self.best else None
        runs = {outcome: counts[outcome] for outcome in OUTCOMES}
        return Figures(runs, self._lost, self.wanted() or 0, spent, best, self._progressed)


Publish = Callable[[Figures], None]


@contextmanager
def published(gauges: Gauges, publish: Publish, every: float = EVERY) -> Iterator[Gauges]:
    """Hands the figures on while the block runs. What goes wrong with it is nothing to the study."""
    over = threading.Event()

    def keep_publishing() -> None:
        while True:
            with contextlib.suppress(Exception):  # Ray may be shut down under it
                publish(gauges.figures())
            if over.wait(every):
                return

    thread = threading.Thread(target=keep_publishing, name="gauges", daemon=True)
    thread.start()
    try:
        yield gauges
    finally:
        with contextlib.suppress(Exception):
            publish(gauges.figures())  # how it ended
        over.set()


def ray_metrics(study: str) -> Publish:
    """Hands figures to Ray's metrics, with the study's name as a label."""
    from ray.util import metrics

    def gauge(name: str, meaning: str, *labels: str) -> metrics.Gauge:
        return metrics.Gauge(f"afdcd_study_{name}", meaning, ("study", *labels))

    runs = gauge("runs", "Runs of the study, by how they ended or that they run.", "outcome")
    wanted = gauge("runs_wanted", "Runs that the study will have in all.")
    lost = gauge(
        "runs_lost_total", "Attempts at a run that a machine ended; each goes on for free."
    )
    hours = gauge("device_hours", "GPU-hours, or worker-hours of CPU workers, that were spent.")
    best = gauge("best_score", "Best full-length score so far, a fraction.")
    progressed = gauge("last_progress_timestamp_seconds", "When a run last started, told or ended.")
    label = {"study": study}

    def publish(figures: Figures) -> None:
        for outcome, count in figures.runs.items():
            runs.set(count, {**label, "outcome": outcome})
        wanted.set(figures.wanted, label)
        lost.set(figures.lost, label)
        hours.set(figures.device_hours, label)
        progressed.set(figures.progressed, label)
        if figures.best is not None:
            best.set(figures.best, label)

    return publish
