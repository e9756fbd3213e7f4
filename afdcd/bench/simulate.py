"""A study in virtual time: a full run takes one unit of it, and several go on at once."""

import heapq
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from afdcd.bench.curves import VALIDATIONS
from afdcd.search.policy.points import Array, Points

PACE = 0.1  # workers are as much faster or slower than the mean


class Problem(Protocol):
    """A world: its search space, and what runs of its settings show."""

    @property
    def space(self) -> dict[str, Any]: ...

    @property
    def points(self) -> Points: ...

    @property
    def references(self) -> list[Array]: ...

    def run(self, row: Array, seed: int = 0) -> Array: ...


class Side(Protocol):
    """A policy: what proposes runs, hears of them, and chooses in the end."""

    def next(self) -> tuple[str, Array] | None:
        """The name of the next run and its setting; None if there is none now."""

    def seed_of(self, name: str) -> int:
        """Of a run that goes on; further runs of one setting differ by it."""

    def report(self, name: str, validation: int, value: float) -> bool:
        """A score; True if the run ends here."""

    def end(self, name: str, validation: int, value: float) -> None:
        """A run has ended after its last, or paused; a value that is no number is a failure."""

    def choice(self) -> Array | None:
        """The setting that the study comes to."""


@dataclass
class Outcome:
    """What a simulated study came to.

    Attributes:
        failed: whether each run diverged or crashed, in the order of their starts.
        asking: seconds of the clock of each decision that began a run.
    """

    choice: Array | None
    spent: float = 0.0
    full: int = 0
    failed: dict[str, bool] = field(default_factory=dict)
    asking: list[float] = field(default_factory=list)


def simulate(problem: Problem, side: Side, workers: int, seed: int) -> Outcome:
    """Let a policy run until it proposes nothing more."""
    rng, ticks = np.random.default_rng([seed, 7]), itertools.count()
    heap: list[tuple[float, int, str, int, Array, float]] = []
    found, now = Outcome(None), 0.0
    while True:
        while len(heap) < workers and (started := _asked(side.next, found)):
            name, row = started
            found.failed[name] = False
            step = (1 - PACE + 2 * PACE * rng.random()) / VALIDATIONS
            shown = problem.run(row, side.seed_of(name))
            heapq.heappush(heap, (now + step, next(ticks), name, 0, shown, step))
        if not heap:
            break
        now, _, name, at, shown, step = heapq.heappop(heap)
        found.spent += 1 / VALIDATIONS
        value, last = float(shown[at]), at + 1 == VALIDATIONS
        stops = side.report(name, at + 1, value)
        if math.isnan(value) or stops or last:
            found.failed[name] = math.isnan(value)
            found.full += last and not math.isnan(value)
            side.end(name, at + 1, value)
        else:
            heapq.heappush(heap, (now + step, next(ticks), name, at + 1, shown, step))
    found.choice = side.choice()
    return found


def _asked(ask: Callable[[], tuple[str, Array] | None], found: Outcome) -> tuple[str, Array] | None:
    before = time.perf_counter()
    started = ask()
    if started:
        found.asking.append(time.perf_counter() - before)
    return started
