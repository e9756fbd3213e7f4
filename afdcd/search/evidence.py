"""What several seeds say: a mean with its spread, and the interval of a difference.

Two settings that ran with the same seeds share what a seed decides, so their differences are looked at
seed by seed: the paired t interval, which holds the true mean difference in 95 % of all studies.
Source: Student 1908, Biometrika 6(1); paired over seeds as in Bouthillier et al. 2021, arXiv:2103.03098.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtr, stdtrit

Verdict = Literal["better", "not distinguishable", "worse", "unproven"]
LEAST = 3  # seeds; of fewer an interval says next to nothing
CONFIDENCE = 0.95
MOST = 1000  # seeds that anybody would think of


@dataclass(frozen=True)
class Spread:
    """Of scores of one setting, as shares. `sd` is of a single seed; nan of fewer than two."""

    mean: float
    sd: float
    n: int

    def __str__(self) -> str:
        if self.n == 1:
            return f"{100 * self.mean:.2f} % with one seed"
        return f"{100 * self.mean:.2f} ± {100 * self.sd:.2f} % over {self.n} seeds"


@dataclass(frozen=True)
class Difference:
    """Of two settings over the seeds that both have, as a share of 1; positive: the first is better."""

    mean: float
    sd: float
    n: int

    @property
    def half(self) -> float:
        """Half of the 95 % interval's width."""
        return half_width(self.sd, self.n) if self.n > 1 else math.inf

    @property
    def verdict(self) -> Verdict:
        if self.n < LEAST:
            return "unproven"
        if abs(self.mean) <= self.half:
            return "not distinguishable"
        return "better" if self.mean > 0 else "worse"

    @property
    def p_value(self) -> float:
        """Of the paired t test that the two are equal; 1 where there are too few seeds to tell."""
        if self.n < LEAST:
            return 1.0
        if self.sd == 0:
            return float(self.mean == 0)
        return float(2 * stdtr(self.n - 1, -abs(self.mean) * math.sqrt(self.n) / self.sd))

    def settled_by(self) -> int | None:
        """How many seeds would tell, if mean and spread stay as they are; None: no number in reach."""
        enough = (n for n in range(LEAST, MOST) if half_width(self.sd, n) < abs(self.mean))
        return next(enough, None)

    def __str__(self) -> str:
        low, high = 100 * (self.mean - self.half), 100 * (self.mean + self.half)
        return f"{100 * self.mean:+.2f} points [{low:+.2f}, {high:+.2f}]"


def half_width(sd: float, n: int) -> float:
    """Of the interval of a mean of `n` values."""
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * sd / math.sqrt(n)


def spread(scores: Mapping[int, float]) -> Spread:
    """Of scores by seed, of which there is one at least."""
    values = list(scores.values())
    return Spread(statistics.fmean(values), _sd(values), len(values))


def difference(
    first: Mapping[int, float], second: Mapping[int, float], *, higher_is_better: bool = True
) -> Difference | None:
    """By how much the first is better, seed by seed; None where they share no seed."""
    sign = 1 if higher_is_better else -1
    apart = [sign * (value - second[seed]) for seed, value in first.items() if seed in second]
    return Difference(statistics.fmean(apart), _sd(apart), len(apart)) if apart else None


def holm(p_values: Sequence[float]) -> list[bool]:
    """Which of several tests hold, so that all of them together are wrong in 5 % of cases at most.

    Source: Holm 1979, Scandinavian Journal of Statistics 6(2).
    """
    holds, count = [False] * len(p_values), len(p_values)
    for place, at in enumerate(sorted(range(count), key=p_values.__getitem__)):
        if p_values[at] > (1 - CONFIDENCE) / (count - place):
            break
        holds[at] = True
    return holds


def _sd(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else math.nan
