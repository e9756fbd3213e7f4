"""A Gaussian process over method, pair and settings.

score = pair + method + method x pair + surface of the method's settings (+ one that methods share)

Each term is drawn around 0 with a deviation of its own. A surface is a Matern 5/2 process with a
length for every range and choice. Rows are `Points.encode`d; scores are in a unit near which their
differences lie, so that the priors below hold for any score.

Source: Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning", algorithm 2.1, sec. 5.4.1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from afdcd.search.policy.points import METHOD, Array, Points

# Deviations of the terms and of the seed noise, then the lengths: log of the prior's middle and spread.
SURFACE, SHARED, METHODS, PAIRS, CROSSED, NOISE = range(6)
DEVIATIONS = np.log([1.2, 0.8, 0.7, 1.5, 0.4, 0.4])
LOOSE = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.25])
LENGTH, LOOSE_LENGTH = np.log(0.7), 0.7
OTHER_PAIR = 0.85  # correlation of one method's surface over two pairs
STEPS = 30  # of the search for the likeliest parameters
ROOT5 = np.sqrt(5.0)


class Kernel:
    """Covariances between encoded rows of one space."""

    def __init__(self, points: Points) -> None:
        self._length_of = np.searchsorted(points.inner, points.inputs)  # input -> its length
        common = np.array([points.columns[at].under != METHOD for at in points.inputs], bool)
        everything = np.ones(len(common), bool)
        # A surface: its deviation, its inputs, and whether methods share it.
        self._surfaces = [(SURFACE, everything, False)]
        if common.any() and points.method is not None:
            self._surfaces.append((SHARED, common, True))
        self.prior = np.r_[DEVIATIONS, np.full(len(points.inner), LENGTH)]
        self.loose = np.r_[LOOSE, np.full(len(points.inner), LOOSE_LENGTH)]

    def __call__(self, a: Array, b: Array, theta: Array) -> Array:
        return np.sum(list(self._terms(a, b, theta).values()), axis=0)

    def own(self, theta: Array) -> float:
        """The variance of any row."""
        used = [PAIRS, METHODS, CROSSED, *(deviation for deviation, *_ in self._surfaces)]
        return float(np.exp(2 * theta[used]).sum())

    def gradient(self, a: Array, theta: Array, weight: Array) -> Array:
        """Of sum(weight * K(a, a)) by theta, for a symmetric weight."""
        slope = np.zeros(len(theta))
        for deviation, term in self._terms(a, a, theta).items():
            slope[deviation] = 2 * (weight * term).sum()
        for deviation, inputs, shared in self._surfaces:
            z = self._scaled(a, theta, inputs)
            distance = _distance(z, z)
            bend = 5 / 3 * (1 + ROOT5 * distance) * np.exp(-ROOT5 * distance)
            g = weight * self._mask(a, a, shared) * bend * np.exp(2 * theta[deviation])
            each = 2 * ((g.sum(1)[:, None] * z**2).sum(0) - (z * (g @ z)).sum(0))
            np.add.at(slope, len(DEVIATIONS) + self._length_of[inputs], each)
        return slope

    def _terms(self, a: Array, b: Array, theta: Array) -> dict[int, Array]:
        variance = np.exp(2 * theta)
        method, pair = a[:, None, 0] == b[:, 0], a[:, None, 1] == b[:, 1]
        terms = {
            METHODS: variance[METHODS] * method,
            PAIRS: variance[PAIRS] * pair,
            CROSSED: variance[CROSSED] * (method & pair),
        }
        for deviation, inputs, shared in self._surfaces:
            distance = _distance(self._scaled(a, theta, inputs), self._scaled(b, theta, inputs))
            matern = (1 + ROOT5 * distance + 5 / 3 * distance**2) * np.exp(-ROOT5 * distance)
            terms[deviation] = variance[deviation] * matern * self._mask(a, b, shared)
        return terms

    def _scaled(self, a: Array, theta: Array, inputs: Array) -> Array:
        lengths = np.exp(theta[len(DEVIATIONS) + self._length_of])
        return (a[:, 2:] / lengths)[:, inputs]

    def _mask(self, a: Array, b: Array, shared: bool) -> Array:
        pair = OTHER_PAIR + (1 - OTHER_PAIR) * (a[:, None, 1] == b[:, 1])
        return pair if shared else pair * (a[:, None, 0] == b[:, 0])


def _distance(a: Array, b: Array) -> Array:
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0))


@dataclass(frozen=True)
class Posterior:
    """What is believed of any row after some were seen."""

    kernel: Kernel
    theta: Array
    seen: Array
    middle: float
    factor: Array  # lower Cholesky factor of the covariance of what was seen
    weights: Array

    def mean(self, rows: Array) -> Array:
        """Means of the true scores."""
        return self.middle + self.kernel(rows, self.seen, self.theta) @ self.weights

    def at(self, rows: Array) -> tuple[Array, Array]:
        """Means and deviations of the true scores."""
        across = self.kernel(self.seen, rows, self.theta)
        return self.middle + self.weights @ across, np.sqrt(self._variance(self._half(across)))

    def apart(self, rows: Array, other: int) -> Array:
        """Deviations of the differences between the true scores of all rows and of one of them."""
        half = self._half(self.kernel(self.seen, rows, self.theta))
        shared = self.kernel(rows, rows[other : other + 1], self.theta)[:, 0]
        variance, covariance = self._variance(half), shared - half.T @ half[:, other]
        return np.sqrt(np.maximum(variance + variance[other] - 2 * covariance, 0.0))

    def _half(self, across: Array) -> Array:
        return solve_triangular(self.factor, across, lower=True)

    def _variance(self, half: Array) -> Array:
        return np.maximum(self.kernel.own(self.theta) - (half**2).sum(0), 1e-6)


def posterior(kernel: Kernel, theta: Array, seen: Array, scores: Array, noise: Array) -> Posterior:
    """What is believed after `scores`, each with a variance beside that between seeds."""
    middle = float(np.median(scores))
    covariance = _covariance(kernel, theta, seen, noise)
    factor, _ = cho_factor(covariance, lower=True)
    weights = cho_solve((factor, True), scores - middle)
    return Posterior(kernel, theta, seen, middle, factor, weights)


def likeliest(kernel: Kernel, seen: Array, scores: Array) -> Array:
    """The parameters that best explain the scores, given their prior."""
    y = scores - np.median(scores)

    def loss(theta: Array) -> tuple[float, Array]:
        factor = cho_factor(_covariance(kernel, theta, seen, np.zeros(len(y))), lower=True)
        weights = cho_solve(factor, y)
        off = (theta - kernel.prior) / kernel.loose
        value = y @ weights / 2 + np.log(np.diag(factor[0])).sum() + off @ off / 2
        pull = (cho_solve(factor, np.eye(len(y))) - np.outer(weights, weights)) / 2
        slope = kernel.gradient(seen, theta, pull) + off / kernel.loose
        slope[NOISE] += 2 * np.exp(2 * theta[NOISE]) * np.trace(pull)
        return float(value), slope

    reach = 3 * kernel.loose
    bounds = list(zip(kernel.prior - reach, kernel.prior + reach, strict=True))
    found = minimize(
        loss, kernel.prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}
    )
    return np.asarray(found.x)


def _covariance(kernel: Kernel, theta: Array, seen: Array, noise: Array) -> Array:
    return kernel(seen, seen, theta) + np.diag(np.exp(2 * theta[NOISE]) + noise + 1e-8)
