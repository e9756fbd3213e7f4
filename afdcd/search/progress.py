"""What a person sees while a study runs.

At a terminal the running runs are bars below the lines; elsewhere there are lines alone, and never
more than 15 seconds without one while something runs.
"""

import atexit
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from afdcd.config import UserError
from afdcd.search.say import NEWS, say, showing
from afdcd.search.tally import Tally
from afdcd.search.watched import Watched
from afdcd.tasks.score import Score
from afdcd.training import pulse
from afdcd.training.job import Job, Report, RunResult
from afdcd.training.resume import newest_iteration

if TYPE_CHECKING:
    from afdcd.search.screen import Screen

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
        self._tally = Tally(best, wanted, done=done, before=before)
        self._clock, self._by_itself = clock, threads
        self._running: dict[str, Watched] = {}
        self._said = clock()
        self._screen: Screen | None = None
        self._threads: list[_Every] = []
        self._lock = threading.RLock()

    @property
    def finished(self) -> int:
        """Runs of the study that have come to an end, and need not be run again."""
        return self._tally.finished

    @property
    def wanted(self) -> int | None:
        """How many runs the study will have in all, as it was last reckoned."""
        return self._tally.wanted

    def started(self, job: Job) -> None:
        with self._lock:
            self._open()
            self._running[job.name] = Watched(job, self._clock())
            self._tally.running(len(self._running))
            total, before = job.config.training.iterations, _saved(job.folder)
            goes_on = f"goes on after iteration {before} of {total}"
            say(f"{job.title} {goes_on if before else f'starts ({total} iterations)'}")
            self._draw()

    def reported(self, job: Job, report: Report) -> None:
        with self._lock:
            if job.name in self._running:
                self._running[job.name].report = report
            self._tally.reported(job, report)
            place = f"iteration {report.iteration}/{job.config.training.iterations}"
            told = [job.title, place, str(report.score), self._tally.best, self._tally.cost]
            say("  ".join(filter(None, told)))
            self._draw()

    def ended(self, job: Job, result: RunResult) -> None:
        with self._lock:
            run = self._running.pop(job.name, None)
            self._tally.ended(job, result, self._clock() - run.begun if run else None)
            if result.outcome != "completed" or self.wanted is not None:
                say("   ".join(filter(None, [_end(job, result), self._tally.study])))
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
            if self in showing:
                showing.remove(self)
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
                say("   ".join(filter(None, [*runs[:SHOWN], *rest, self._tally.study])))

    def line(self, text: str) -> None:
        """Print a line; above the bars where there are some."""
        with self._lock:
            self._said = self._clock()
            if self._screen:
                self._screen.line(text)
            else:
                print(text, flush=True)

    def _open(self) -> None:
        if self in showing:
            return
        showing.append(self)
        atexit.register(self.close)  # else a terminal would be left without its cursor
        if sys.stdout.isatty():
            from afdcd.search.screen import Screen

            self._screen = Screen.opened()
        if self._by_itself:
            self._threads = [_Every(TICK, self.tick), _Every(LOOK, self.look)]

    def _draw(self) -> None:
        if self._screen:
            below = filter(None, [self._tally.best, self._tally.cost, self._tally.study])
            shown = "   ".join(below) if self._running else ""
            self._screen.show(list(self._running.values()), shown)


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
