"""One running run as people see it: how far it is, how fast, and how long it will still take."""

from dataclasses import dataclass

from afdcd.training.job import Job, Report
from afdcd.training.pulse import Pulse


@dataclass
class Watched:
    """A run that goes on.

    Attributes:
        begun: when it was started, by the watcher's clock.
        report: the last one that was heard.
        pulse: the last one that this attempt wrote.
    """

    job: Job
    begun: float
    report: Report | None = None
    pulse: Pulse | None = None
    _first: Pulse | None = None
    _looked: bool = False

    def hear(self, found: Pulse | None) -> None:
        """Take what lies in the run's folder.

        What lay there at the first look may be an earlier attempt's. Clocks of machines differ, so
        it is believed only once it has changed.
        """
        if not self._looked:
            self._looked, self._first = True, found
        elif found and found != self._first:
            self.pulse = found

    @property
    def iterations(self) -> int:
        return self.job.config.training.iterations

    @property
    def iteration(self) -> int:
        reported = self.report.iteration if self.report else 0
        return max(reported, self.pulse.iteration if self.pulse else 0)

    @property
    def doing(self) -> str:
        """What it does that is not training; empty where it trains."""
        phase = self.pulse.phase if self.pulse else "starting"
        return "" if phase == "training" else phase

    @property
    def speed(self) -> str:
        rate = self.pulse.images_per_second if self.pulse else None
        return "" if rate is None else f"{rate:.{0 if rate >= 10 else 1}f} images/s"

    @property
    def loss(self) -> str:
        loss = self.pulse.loss if self.pulse else None
        return "" if loss is None else f"loss {loss:.4g}"

    @property
    def eta(self) -> str:
        left = self.seconds_left()
        return "" if left is None else f"ETA {duration(left)}"

    def seconds_left(self) -> float | None:
        """As long as the iterations so far took, validations included, once one was reported."""
        left = self.iterations - self.iteration
        if self.report:
            return left * self.report.seconds / self.report.iteration
        rate = self.pulse.images_per_second if self.pulse else None
        return left * self.job.config.training.batch / rate if rate else None

    def __str__(self) -> str:
        if self.iteration == 0:
            return f"{self.job.title} {self.doing or 'starting'}"
        place = f"iteration {self.iteration}/{self.iterations}"
        now = [self.doing] if self.doing else [self.speed, self.loss]
        return "  ".join(filter(None, [self.job.title, place, *now, self.eta]))


def duration(seconds: float) -> str:
    """`0:21`, `2:03:04`; from two days on `3 d 4 h`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
