"""What to run next: the setting that promises the largest gain, by the model, near what is published.

Score of a candidate = log(expected improvement) + prior that fades + log(chance to train)

Source of the expected improvement: Jones et al. 1998, "Efficient Global Optimization", eq. 15.
"""

import numpy as np
from scipy.special import log_ndtr, ndtr

from afdcd.search.policy.points import Array, Points
from afdcd.search.policy.tried import Tried
from afdcd.search.space import Range

CANDIDATES, LEAST = (
    1000,
    60,
)  # drawn anywhere, and as many near the good: in all, and in each branch
BRANCHES = 40  # most pairs of method and networks that are looked at for one proposal
BEST = 3  # settings of a method around which candidates are drawn, beside the published ones
WIDTHS = (0.05, 0.1, 0.2)  # of the draws around them
PUBLISHED_WIDTH = 0.25  # how far from a published setting a better one is expected
FADES = 10.0  # trials after which the prior weighs half
FARTHEST = -4.0  # the prior's logarithm anywhere else
UNPUBLISHED = -2.0  # the prior's logarithm where nothing is published for a method


class Published:
    """The settings that people gave, by method and pair."""

    def __init__(self, points: Points, tried: Tried) -> None:
        self.points = points
        given = np.array([e.is_reference and e.repeats is None for e in tried.entries], bool)
        self.rows = tried.rows[np.flatnonzero(given)]

    def of(self, branch: Array) -> Array:
        """Those of a branch, else those of its method with other networks."""
        own = (self.points.heads(self.rows) == self.points.heads(branch[None])).all(1)
        if not own.any() and self.points.method is not None:
            own = self.rows[:, self.points.method] == branch[self.points.method]
        return self.rows[own]

    def prior(self, rows: Array) -> Array:
        """Logarithm of each row's prior, up to a constant."""
        found = np.full(len(rows), UNPUBLISHED)
        numbers = [isinstance(column.node, Range) for column in self.points.columns]
        _, first, group = np.unique(
            self.points.heads(rows), axis=0, return_index=True, return_inverse=True
        )
        for at, example in enumerate(first):
            own, given = group.ravel() == at, self.of(rows[example])
            if len(given):
                apart = np.nan_to_num(rows[own][:, None, numbers] - given[None, :, numbers])
                squares = (apart**2).sum(2).min(1) / PUBLISHED_WIDTH**2
                found[own] = np.maximum(-squares / 2, FARTHEST)
        return found


def candidates(
    points: Points, rng: np.random.Generator, good: Array, published: Published
) -> Array:
    """Rows over all branches: half of them anywhere, half near what is good or published.

    Args:
        good: rows of what was tried, the most promising first.
    """
    branches = points.branches
    if len(branches) > BRANCHES:
        branches = [branches[at] for at in rng.permutation(len(branches))[:BRANCHES]]
    each = max(LEAST, CANDIDATES // len(branches))
    found = []
    for branch in branches:
        own = good
        if points.method is not None:
            own = good[good[:, points.method] == branch[points.method]]
        middles = np.vstack([own[:BEST], published.of(branch)])
        found.append(points.draw(rng, each, branch))
        if len(middles):
            around = middles[rng.integers(0, len(middles), each)]
            found.append(points.near(rng, around, rng.choice(WIDTHS, each), branch))
    return np.vstack(found)


def log_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Logarithm of the expected gain over `best`; far below it by its asymptote."""
    z = (mean - best) / deviation
    near = np.maximum(z, -6.0)
    gain = np.log(np.exp(-(near**2) / 2) / np.sqrt(2 * np.pi) + near * ndtr(near))
    far = np.minimum(z, -6.0)
    tail = log_ndtr(far) - np.log(-far) - np.log(1 + 2 / far**2)
    return np.log(deviation) + np.where(z > -6.0, gain, tail)
