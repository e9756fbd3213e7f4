"""What a person sees while a study runs, and the table at its end.

At a terminal the running runs are bars below the lines; elsewhere there are lines alone, and never
more than 15 seconds without one while something runs.
"""

import atexit
import math
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afdcd.config import UserError
from afdcd.search.patience import briefly
from afdcd.search.watched import Watched, duration
from afdcd.tasks.score import DEFAULT_MEASURE, Score
from afdcd.text import percent, table
from afdcd.training import pulse
from afdcd.training.job import FINISHED, Job, Report, RunResult
from afdcd.training.resume import newest_iteration

if TYPE_CHECKING:
    from afdcd.search.rows import RunKey
    from afdcd.search.screen import Screen

PATIENCE = 5  # seconds that a person waits without a word
NEWS = 14.0  # as long without a line; with the second between two ticks never more than 15
TICK, LOOK = 1.0, 2.0  # seconds between two ticks, and between two looks at the pulses
SHOWN = 4  # runs in one line


class Progress:
    """Tells of runs as they start, report and end, and in between how far they are.

    Args:
        best: the best full-length score so far, and whose it is.
        wanted: says how many runs the study will have in all, which grows where runs end early;
            None for a teacher or a single run.
        done: how many of them had finished before.
        before: device-hours of the runs that had ended before.
        clock: seconds, monotonic.
        threads: whether time passes by itself; without, `look` and `tick` are to be called.
    """

    def __init__(
        self,
        best: tuple[Score, str] | None = None,
        wanted: Callable[[], int] | None = None,
        *,
        done: int = 0,
        before: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        threads: bool = True,
    ) -> None:
        self._best, self._count, self._done = best, wanted, done
        self._wanted = wanted() if wanted else None
        self._before, self._clock, self._by_itself = before, clock, threads
        self._running: dict[str, Watched] = {}
        self._finished: set[str] = set()
        self._took: list[float] = []  # seconds of each completed run
        self._together = 1  # most runs at the same time so far
        self._spent: dict[str, float] = {}
        self._cost = ""
        self._said = clock()
        self._screen: Screen | None = None
        self._threads: list[_Every] = []
        self._lock = threading.RLock()

    @property
    def finished(self) -> int:
        """Runs of the study that have come to an end, and need not be run again."""
        return self._done + len(self._finished)

    @property
    def wanted(self) -> int | None:
        """How many runs the study will have in all, as it was last reckoned."""
        return self._wanted

    def started(self, job: Job) -> None:
        with self._lock:
            self._open()
            self._running[job.name] = Watched(job, self._clock())
            self._together = max(self._together, len(self._running))
            total, before = job.config.training.iterations, _saved(job.folder)
            goes_on = f"goes on after iteration {before} of {total}"
            say(f"{job.title} {goes_on if before else f'starts ({total} iterations)'}")
            self._draw()

    def reported(self, job: Job, report: Report) -> None:
        with self._lock:
            if job.name in self._running:
                self._running[job.name].report = report
            total = job.config.training.iterations
            counts = report.iteration == total and job.repeats is None  # else the luckiest seed won
            if counts and report.score.beats(self._best and self._best[0]):
                self._best = (report.score, job.title)
            self._spent[job.name] = report.device_hours
            spent = self._before + sum(self._spent.values())
            unit = {"cuda": "GPU"}.get(report.device, report.device.upper())
            self._cost = f"{spent:.3f} {unit}-hours"
            place = f"iteration {report.iteration}/{total}"
            told = [job.title, place, str(report.score), self._best_so_far(), self._cost]
            say("  ".join(filter(None, told)))
            self._draw()

    def ended(self, job: Job, result: RunResult) -> None:
        with self._lock:
            run = self._running.pop(job.name, None)
            if self._count:
                self._wanted = briefly(self._count, self._wanted)
            if result.outcome in FINISHED:
                self._finished.add(job.name)
            if run and result.outcome == "completed":
                before = result.last.seconds if result.last else 0.0  # by earlier drivers too
                self._took.append(max(self._clock() - run.begun, before))
            if result.outcome != "completed" or self._wanted is not None:
                say("   ".join(filter(None, [_end(job, result), self._study()])))
            self._draw()

    def interrupted(self) -> None:
        with self._lock:
            self._running.clear()
            say("interrupted")
            self._draw()

    def close(self) -> None:
        """Take the bars away and fall silent; a run that starts later opens it again."""
        with self._lock:
            for thread in self._threads:
                thread.end()
            if self._screen:
                self._screen.close()
            if self in _showing:
                _showing.remove(self)
            self._screen, self._threads = None, []
            self._running.clear()
            atexit.unregister(self.close)

    def look(self) -> None:
        """Read how far the running runs are."""
        with self._lock:
            running = list(self._running.values())
        for run in running:  # a slow store must not hold up those who report
            run.hear(pulse.read(run.job.folder))

    def tick(self) -> None:
        """Tell what is new, if it is time."""
        with self._lock:
            self._draw()
            if self._running and not self._screen and self._clock() - self._said > NEWS:
                runs = [str(run) for run in self._running.values()]
                rest = [f"and {len(runs) - SHOWN} more"] if len(runs) > SHOWN else []
                say("   ".join(filter(None, [*runs[:SHOWN], *rest, self._study()])))

    def line(self, text: str) -> None:
        """Print a line; above the bars where there are some."""
        with self._lock:
            self._said = self._clock()
            if self._screen:
                self._screen.line(text)
            else:
                print(text, flush=True)

    def _open(self) -> None:
        if self in _showing:
            return
        _showing.append(self)
        atexit.register(self.close)  # else a terminal would be left without its cursor
        if sys.stdout.isatty():
            from afdcd.search.screen import Screen

            self._screen = Screen.opened()
        if self._by_itself:
            self._threads = [_Every(TICK, self.tick), _Every(LOOK, self.look)]

    def _draw(self) -> None:
        if self._screen:
            below = filter(None, [self._best_so_far(), self._cost, self._study()])
            shown = "   ".join(below) if self._running else ""
            self._screen.show(list(self._running.values()), shown)

    def _best_so_far(self) -> str:
        return f"best {percent(self._best[0].value)} ({self._best[1]})" if self._best else ""

    def _study(self) -> str:
        """How far the study is, and how long it will take by the runs that were completed here."""
        if self._wanted is None:
            return ""
        eta = ""
        if self._took:
            left = max(0, self._wanted - self.finished)
            eta = f"  ETA {duration(left * statistics.median(self._took) / self._together)}"
        return f"study {self.finished}/{self._wanted}{eta}"


def _saved(folder: str) -> int:
    """The iteration that a run goes on from; 0 where that is not known."""
    try:
        return newest_iteration(folder)
    except (OSError, UserError):
        return 0


def _end(job: Job, result: RunResult) -> str:
    if result.saved:
        place = f"iteration {result.saved} of {job.config.training.iterations}"
        return f"{result.cause}: {job.title} saved at {place}, goes on elsewhere"
    return f"{job.title} {result.outcome}" + (f": {result.cause}" if result.cause else "")


class _Every(threading.Thread):
    """Does something again and again, so many seconds apart."""

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        super().__init__(name="progress", daemon=True)
        self._seconds, self._action, self._over = seconds, action, threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.wait(self._seconds):
            self._action()

    def end(self) -> None:
        self._over.set()


_showing: list[Progress] = []  # the last one has the terminal


class Rendering:
    """Tells how far the street scenes are, now and then; they are rendered by the first study."""

    def __init__(self) -> None:
        self._images = self._done = 0
        self._said = time.monotonic()

    def begin(self, images: int, kept: int) -> None:
        self._images, self._done = images, kept
        say(f"renders {images} street scenes")

    def __call__(self, images: int, size: int) -> None:
        self._done += images
        if time.monotonic() - self._said > PATIENCE:
            self._said = time.monotonic()
            say(f"{self._done} of {self._images} street scenes are rendered")


def say(text: str) -> None:
    """A line with the time of day; the one way to print one while runs go on."""
    line = f"[{time.strftime('%H:%M:%S')}] {text}"
    if _showing:
        _showing[-1].line(line)
    else:
        print(line, flush=True)


@dataclass(frozen=True)
class Row:
    """A run in the table at a study's end.

    Attributes:
        outcome: of its run; "running" while it goes on.
        iteration: how far it came.
        device_hours: that it took, lost attempts included.
        cause: why it came no further, if something went wrong.
    """

    run: "RunKey"
    score: Score | None
    outcome: str
    iteration: int
    settings: dict[str, Any]
    cause: str = ""
    device_hours: float = 0.0


ORDER = ("completed", "paused", "running")


def trials_table(rows: Sequence[Row]) -> str:
    """Every run of a study: completed ones first, best first; then those that may still be."""
    label = next((row.score.label for row in rows if row.score), DEFAULT_MEASURE.label)
    titles = ("trial", label, "outcome", "iterations", "hours", "settings")
    return table(titles, [_cells(row) for row in sorted(rows, key=_rank)], rules=())


def _cells(row: Row) -> tuple[str, ...]:
    value = percent(row.score.value if row.score else None)
    told = [f"{name}={_short(item)}" for name, item in row.settings.items()]
    last = "  ".join(filter(None, [*told, row.cause])) or "-"
    hours = f"{row.device_hours:.3g}"
    return (str(row.run), value, row.outcome, str(row.iteration), hours, last)


def _rank(row: Row) -> tuple[int, bool, float, int, int]:
    place = ORDER.index(row.outcome) if row.outcome in ORDER else len(ORDER)
    which = row.run.trial, -1 if row.run.seed is None else row.run.seed
    if row.score is None or math.isnan(row.score.value):
        return place, True, 0.0, *which
    sign = -1 if row.score.higher_is_better else 1
    return place, False, sign * row.score.value, *which


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
