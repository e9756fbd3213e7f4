"""What the runs of a study say about settings: the process fitted to them, and the best of them."""

from dataclasses import dataclass, replace

import numpy as np

from afdcd.search.policy.points import Array, Points
from afdcd.search.policy.process import Kernel, Posterior, likeliest, posterior
from afdcd.search.policy.tried import Tried, tamed
from afdcd.search.rows import Entry

MOST = 400  # runs that are fitted to: the best half and the newest half
GROWTH = 1.15  # the parameters are fitted again whenever there are so many times as many runs
FEW = 4  # runs without which the parameters stay as the prior has them
GUARD = 0.7  # deviations by which a setting must be better than what is published
DOUBT = 0.7  # deviations around the guard within which one more score may turn the choice
NOTHING = 1e-9  # stands for the deviation of a row from itself


@dataclass(frozen=True)
class Judged:
    """The trials that came to their end, and what is believed of them.

    Attributes:
        mean: what each is believed to score.
        to_beat: which of them is the reference before which another one comes only by a margin.
    """

    trials: list[Entry]
    encoded: Array
    believed: Posterior
    mean: Array
    to_beat: int | None

    def lead(self, over: int) -> Array:
        """By how many deviations of the difference each is better than one of them."""
        apart = np.maximum(self.believed.apart(self.encoded, over), NOTHING)
        lead: Array = (self.mean - self.mean[over]) / apart
        return lead


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
        if not len(tried.full):
            return []
        seen = self._judged(tried)
        order = np.argsort(-seen.mean, kind="stable")
        if seen.to_beat is not None:
            better, rest = (seen.lead(seen.to_beat) > GUARD)[order], order != seen.to_beat
            order = np.r_[order[better], seen.to_beat, order[~better & rest]]
        return [seen.trials[at] for at in order]

    def rivals(self, tried: Tried) -> tuple[Entry, Entry] | None:
        """The reference that is to be beaten, and the most promising other trial.

        None if a further score of one of them could hardly change which comes first.
        """
        if len(tried.full) < FEW:
            return None
        seen = self._judged(tried)
        if seen.to_beat is None or len(seen.trials) < 2:
            return None
        others = np.delete(np.arange(len(seen.trials)), seen.to_beat)
        second = others[np.argmax(seen.mean[others])]
        if abs(seen.lead(seen.to_beat)[second] - GUARD) > DOUBT:
            return None
        return seen.trials[seen.to_beat], seen.trials[second]

    def _judged(self, tried: Tried) -> "Judged":
        full = [at for at in tried.full if tried.entries[at].repeats is None]
        trials, encoded = [tried.entries[at] for at in full], tried.encoded[full]
        believed = self.posterior(tried)
        seen = Judged(trials, encoded, believed, believed.mean(encoded), None)
        given = np.flatnonzero([trial.is_reference for trial in trials])
        if not len(given):
            return seen
        alone = self._of_references(tried, believed.theta).mean(encoded[given])
        first = given[np.argmax(alone)]
        ahead = given[seen.lead(first)[given] > GUARD]
        best = ahead[np.argmax(seen.mean[ahead])] if len(ahead) else first
        return replace(seen, to_beat=int(best))

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
