"""What a person sees while a study runs, and the table at its end."""

import math
import time
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from afdcd.search.study import CAUSE
from afdcd.text import table
from afdcd.tracking.runs import device_hours
from afdcd.training.job import Job, RunResult

PATIENCE = 5  # seconds that a person waits without a word


class Progress:
    """Prints a line for every validation and every end: trial, mIoU, best so far, device-hours."""

    def __init__(self, best: tuple[float, str] = (float("-inf"), "")) -> None:
        self._best = best
        self._hours: dict[str, float] = {}
        self._unit = "cpu"

    def started(self, job: Job) -> None:
        say(f"{job.title} starts ({job.config.training.iterations} iterations)")

    def reported(self, job: Job, result: dict[str, Any]) -> None:
        if result.get("failed"):
            return
        self._hours[job.name] = device_hours(result)
        self._unit = {"cuda": "GPU"}.get(result["device"], result["device"].upper())
        total = job.config.training.iterations
        if result["iteration"] == total and result["miou"] > self._best[0]:
            self._best = (result["miou"], job.title)
        best = f"best {percent(self._best[0])} ({self._best[1]})  " if self._best[1] else ""
        say(
            f"{job.title}  iteration {result['iteration']}/{total}  mIoU "
            f"{percent(result['miou'])}  {best}{sum(self._hours.values()):.3f} {self._unit}-hours"
        )

    def ended(self, job: Job, end: RunResult) -> None:
        if end.outcome != "completed":
            say(f"{job.title} {end.outcome}{': ' + end.cause if end.cause else ''}")

    def interrupted(self) -> None:
        say("interrupted")


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
    """A line with the time of day."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def percent(value: float | None) -> str:
    """A share in per cent; a dash where there is none, as for a class that never occurs."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.2f} %"


def trials_table(trials: Sequence[FrozenTrial]) -> str:
    """Every trial of a study: state, mIoU, iterations, settings; full-length ones first, best first."""
    titles = ("trial", "mIoU", "state", "iterations", "settings")
    rows = []
    for trial in sorted(trials, key=_rank):
        steps = trial.intermediate_values
        last = max(steps, default=0)
        value = trial.value if trial.value is not None else steps.get(last)
        state = trial.state.name.lower()
        settings = "  ".join(f"{name}={_short(item)}" for name, item in trial.params.items())
        cause = trial.user_attrs.get(CAUSE)
        rows.append((str(trial.number), percent(value), state, str(last), cause or settings or "-"))
    return table(titles, rows, rules=())


def _rank(trial: FrozenTrial) -> tuple[bool, float]:
    return trial.state != TrialState.COMPLETE, -(trial.value or 0.0)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
