"""When a run is paused: successive halving, as a function of (iteration, value) pairs and no more.

Nothing is remembered between two decisions, so a new driver decides as the old one would have, and a
changed grace or reduction holds from the next validation on.

Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (ASHA), arXiv:1810.05934,
with the rungs of a run's own validations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afdcd.search.config import SamplerName
from afdcd.search.division import Division
from afdcd.tasks.score import DEFAULT_MEASURE, Measure

Curve = Mapping[int, float]  # iteration of a validation -> its value


@dataclass(frozen=True)
class Rules:
    """How a study spends its runs.

    Attributes:
        trials: how many runs at full length are paid for; lost runs cost nothing.
        rungs: iterations at which one run in `reduction` goes on; none: no run is paused.
        sampler: who proposes settings.
        division: among which values the runs are divided, each searched by itself; None: one search.
    """

    trials: int
    rungs: tuple[int, ...] = ()
    reduction: int = 3
    measure: Measure = DEFAULT_MEASURE
    sampler: SamplerName = "gp"
    division: Division | None = None

    @property
    def higher_is_better(self) -> bool:
        return self.measure.higher_is_better


def rungs(iterations: int, validate_every: int, grace: int, reduction: int) -> list[int]:
    """Iterations at which runs are compared: grace, grace x reduction ..., each at a validation.

    Each is rounded up to a multiple of `validate_every`. The end of a run is none: there it ends.
    """
    found: list[int] = []
    at = float(grace)
    while at < iterations:
        rung = -(-int(-(-at // 1)) // validate_every) * validate_every
        if rung < iterations and rung not in found:
            found.append(rung)
        at *= reduction
    return found


def goes_on(value: float, others: Sequence[float], reduction: int, higher_is_better: bool) -> bool:
    """Whether a value is among the best one in `reduction` of those seen at its rung, its own included.

    The first at a rung goes on. Equal values go on together.
    """
    sign = 1 if higher_is_better else -1
    ranked = sorted((sign * other for other in (*others, value)), reverse=True)
    allowed = max(1, len(ranked) // reduction)
    return sign * value >= ranked[allowed - 1]


def values_at(rung: int, curves: Sequence[Curve]) -> list[float]:
    """What other runs had at exactly this iteration."""
    return [curve[rung] for curve in curves if rung in curve]
