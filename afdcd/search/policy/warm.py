"""What another study found out, as the model takes it in: beside its own runs, and never as one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna

from afdcd.search.earlier import parameters_of_today
from afdcd.search.policy.points import Array, Points
from afdcd.search.policy.tried import Tried

WARM = "warm_start"  # attribute of a study: name of another one -> what was taken from it
ENOUGH = 200  # own scores beside which those of others say nothing new


@dataclass(frozen=True)
class Observation:
    """A run of another study.

    Attributes:
        values: by path in the present space.
        score: how far above the median of its study, in a unit in which its scores differ by about one.
        noise: variance of what it says here: the less alike data and networks are, the larger.
    """

    values: dict[str, Any]
    score: float
    noise: float


def observations(study: optuna.Study) -> list[Observation]:
    """What a study has taken from others."""
    taken = study.user_attrs.get(WARM, {})
    found = (Observation(**run) for runs in taken.values() for run in runs)
    return [replace(one, values=parameters_of_today(one.values)) for one in found]


def warmed(tried: Tried, points: Points, observations: Sequence[Observation]) -> Tried:
    """With what other studies found, after all own items; these have neither entry nor final score."""
    placed = [(o, row) for o in observations if (row := points.row(o.values)) is not None]
    if not placed or len(tried.scored) >= ENOUGH:
        return tried
    rows = np.array([row for _, row in placed])
    own = tried.scores[tried.scored]
    middle = float(np.median(own)) if len(own) else 0.0
    return replace(
        tried,
        rows=_stacked(tried.rows, rows),
        encoded=_stacked(tried.encoded, points.encode(rows)),
        scores=np.r_[tried.scores, [middle + o.score for o, _ in placed]],
        noise=np.r_[tried.noise, [o.noise for o, _ in placed]],
    )


def _stacked(own: Array, others: Array) -> Array:
    return np.vstack([own.reshape(-1, others.shape[1]), others])
