"""How likely a setting is to train at all, learnt from those that did not.

Ridge logistic regression on the model's inputs, for each method. A failure is no score: as a worst
value it would smear over its good neighbours.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from afdcd.search.policy.points import Array

PULL = 0.003  # of the ridge: little, for beyond an edge all fails, and near it often lies the best
SCALE = 4.0  # of the inputs: a whole range is so long
NEWEST = 400  # runs that are looked at


def log_feasible(tried: Array, failed: Array, rows: Array) -> Array:
    """Logarithm of each row's chance to train.

    Args:
        tried: encoded rows of runs that failed, or came far enough to count as sound.
        failed: which of them did.
        rows: encoded, to be judged.
    """
    found = np.zeros(len(rows))
    for method in np.unique(tried[failed, 0]):
        own, asked = tried[:, 0] == method, rows[:, 0] == method
        weights = _fitted(_features(tried[own])[-NEWEST:], failed[own][-NEWEST:])
        found[asked] = log_expit(_features(rows[asked]) @ weights)
    return found


def _features(encoded: Array) -> Array:
    return np.column_stack([np.ones(len(encoded)), SCALE * encoded[:, 2:]])


def _fitted(features: Array, failed: Array) -> Array:
    sign = np.where(failed, -1.0, 1.0)

    def loss(weights: Array) -> tuple[float, Array]:
        margin = sign * (features @ weights)
        slope = -features.T @ (sign * expit(-margin)) + PULL * weights
        return float(-log_expit(margin).sum() + PULL * weights @ weights / 2), slope

    return np.asarray(minimize(loss, np.zeros(features.shape[1]), jac=True).x)
