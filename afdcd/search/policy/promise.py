"""What early validations of a run promise for its end, and how far off that is likely to be.

Increments are chained: what runs gained from each validation to the next is added up to the end, for
a run's own method as far as that was seen. Then early order counts as much as it has agreed with final
order: a slope and an error for every share of a run, each shrunk to what is usual.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from afdcd.search.policy.points import Array

GAIN_WORTH, SLOPE_WORTH, ERROR_WORTH = 4, 4, 5  # runs that the usual counts as
STEEPEST = 1.2


def promises(
    curves: Sequence[Mapping[float, float]], finals: Array, methods: Array
) -> tuple[Array, Array]:
    """Final scores as the last validations promise them, and the variances of these promises.

    Args:
        curves: share of a run's length -> score, in the model's unit.
        finals: not-a-number where a run has not come to its end.
        methods: the number of each run's method.
    """
    shares = np.array(sorted({share for curve in curves for share in curve} | {1.0}))
    shown = np.array([[curve.get(share, np.nan) for share in shares] for curve in curves])
    chained = shown + _to_come(shown, methods)
    before, now = chained[:, :-2], chained[:, 1:-1]
    chained[:, 1:-1] = (now + np.where(np.isnan(before), now, before)) / 2  # one alone is noisy
    slope, error = np.sqrt(shares), (1.2 * (1 - shares)) ** 2 + 0.02
    done = np.isfinite(finals) & np.isfinite(chained).all(1)
    if done.sum() > 2:
        off = chained[done] - chained[done].mean(0)
        end = (finals[done] - finals[done].mean())[:, None]
        slope = ((off * end).sum(0) + SLOPE_WORTH * slope) / ((off**2).sum(0) + SLOPE_WORTH)
        slope = np.clip(slope, 0, STEEPEST)
        missed = ((end - slope * off) ** 2).sum(0)
        error = (missed + ERROR_WORTH * error) / (done.sum() + ERROR_WORTH)
    last = np.array([np.flatnonzero(np.isfinite(row))[-1] for row in shown])
    promised = chained[np.arange(len(curves)), last]
    middle = np.median(promised)
    return middle + slope[last] * (promised - middle), error[last]


def _to_come(shown: Array, methods: Array) -> Array:
    """What runs of each method gain from every validation to the end."""
    gains = np.diff(shown, axis=1)
    seen, gains = np.isfinite(gains), np.nan_to_num(gains)
    usual = gains.sum(0) / np.maximum(seen.sum(0), 1)
    rest = np.zeros_like(shown)
    for method in np.unique(methods):
        own = methods == method
        gain = (gains[own].sum(0) + GAIN_WORTH * usual) / (seen[own].sum(0) + GAIN_WORTH)
        rest[own, :-1] = np.cumsum(gain[::-1])[::-1]
    return rest
