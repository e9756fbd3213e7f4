"""What the runs of a study say about settings: the process fitted to them, and the best of them."""

import numpy as np

from afdcd.search.policy.points import Array, Points
from afdcd.search.policy.process import Kernel, Posterior, likeliest, posterior
from afdcd.search.policy.tried import Tried, tamed
from afdcd.search.rows import Entry

MOST = 400  # runs that are fitted to: the best half and the newest half
GROWTH = 1.15  # the parameters are fitted again whenever there are so many times as many runs
FEW = 4  # runs without which the parameters stay as the prior has them
GUARD = 0.7  # deviations by which a setting must be better than what is published


class Model:
    """A function of the runs and nothing else: what it keeps is only what takes long to work out."""

    def __init__(self, points: Points) -> None:
        self.kernel = Kernel(points)
        self._fitted: tuple[tuple[int, ...], Array] = ((), self.kernel.prior)

    def posterior(self, tried: Tried) -> Posterior:
        """What is believed; runs that have shown nothing yet are believed to come out as expected."""
        seen = fitted_to(tried)
        theta = self._theta(tried)
        encoded, scores, noise = tried.encoded[seen], tried.scores[seen], tried.noise[seen]
        found = posterior(self.kernel, theta, encoded, scores, noise)
        if not len(tried.waiting):
            return found
        waiting = tried.encoded[tried.waiting]
        expected = found.mean(waiting)
        return posterior(
            self.kernel,
            theta,
            np.vstack([encoded, waiting]),
            np.r_[scores, expected],
            np.r_[noise, np.zeros(len(waiting))],
        )

    def ranked(self, tried: Tried) -> list[Entry]:
        """The trials that came to their end, the most promising first.

        The scores are those of single runs, so the highest is mostly a lucky one: what counts is the
        posterior mean. A setting comes before the one that the published settings by themselves would
        have led to only if it is better by `GUARD` deviations of the difference. So does another
        published one, or a search would lead away from the best of them by luck alone.
        """
        full = [at for at in tried.full if tried.entries[at].repeats is None]
        if not full:
            return []
        entries, encoded = [tried.entries[at] for at in full], tried.encoded[full]
        believed = self.posterior(tried)
        mean = believed.mean(encoded)
        order = np.argsort(-mean, kind="stable")
        given = np.array([entries[at].is_reference for at in order], bool)
        if given.any():
            alone = self._of_references(tried, believed.theta).mean(encoded[order[given]])
            first = order[given][np.argmax(alone)]
            ahead = order[given & _better(believed, mean, encoded, first)[order]]
            best = ahead[0] if len(ahead) else first
            better = _better(believed, mean, encoded, best)[order]
            order = np.r_[order[better], best, order[~better & (order != best)]]
        return [entries[at] for at in order]

    def _of_references(self, tried: Tried, theta: Array) -> Posterior:
        """What would be believed if nothing but the published settings had been run."""
        own = [at for at in tried.full if tried.entries[at].is_reference]
        encoded, scores, noise = tried.encoded[own], tried.scores[own], tried.noise[own]
        return posterior(self.kernel, theta, encoded, scores, noise)

    def _theta(self, tried: Tried) -> Array:
        """The likeliest parameters, by the runs that had ended when they were last to be fitted.

        So another driver finds the same, whenever it comes.
        """
        count = fitted_at(len(tried.full))
        if count < FEW:
            return self.kernel.prior
        first = tried.full[:count]
        first = first[_kept(tried.finals[first])]
        key = tuple(tried.entries[at].number for at in first)
        if key != self._fitted[0]:
            scores, _ = tamed(tried.finals[first])
            self._fitted = key, likeliest(self.kernel, tried.encoded[first], scores)
        return self._fitted[1]


def _better(believed: Posterior, mean: Array, encoded: Array, than: int) -> Array:
    """Which rows are better than one of them by so much that the doubt is small."""
    better: Array = mean - mean[than] > GUARD * believed.apart(encoded, than)
    return better


def fitted_at(count: int) -> int:
    """The last number of ended runs up to `count` at which the parameters are fitted."""
    at = FEW
    while (following := max(at + 1, int(at * GROWTH))) <= count:
        at = following
    return min(at, count)


def fitted_to(tried: Tried) -> Array:
    """The runs whose scores the process is fitted to."""
    return tried.scored[_kept(tried.scores[tried.scored])]


def _kept(scores: Array) -> Array:
    """Which of the scores are fitted to."""
    count = len(scores)
    if count <= MOST:
        return np.arange(count)
    best = np.argsort(-scores, kind="stable")[: MOST // 2]
    return np.unique(np.r_[best, np.arange(count - MOST // 2, count)])
