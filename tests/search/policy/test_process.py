"""The Gaussian process against the formulas of the textbook, written out element by element."""

import numpy as np
import pytest

from afdcd.search.policy.points import Array, Points
from afdcd.search.policy.process import (
    CROSSED,
    DEVIATIONS,
    METHODS,
    NOISE,
    OTHER_PAIR,
    PAIRS,
    SHARED,
    SURFACE,
    Kernel,
    likeliest,
    posterior,
)
from tests.search.policy.spaces import space

SEEN, ASKED = 15, 7


def rows_of(points: Points, count: int) -> Array:
    rng = np.random.default_rng(count)
    branches = points.branches
    drawn = [points.draw(rng, 1, branches[at % len(branches)])[0] for at in range(count)]
    return points.encode(np.array(drawn))


def theta_of(kernel: Kernel) -> Array:
    return kernel.prior + 0.3 * np.random.default_rng(1).normal(size=len(kernel.prior))


def covariance(points: Points, a: Array, b: Array, theta: Array) -> float:
    """Of two rows, term by term."""
    variance, lengths = np.exp(2 * theta[: len(DEVIATIONS)]), np.exp(theta[len(DEVIATIONS) :])
    method, pair = a[0] == b[0], a[1] == b[1]
    found = variance[PAIRS] * pair + variance[METHODS] * method
    found += variance[CROSSED] * (method and pair)
    squares = {True: 0.0, False: 0.0}  # of inputs that belong to a method, and of the others
    for at, column in enumerate(points.inputs):
        apart = (a[2 + at] - b[2 + at]) / lengths[points.inner.index(column)]
        squares[points.columns[column].under == "distiller"] += apart**2
    across = OTHER_PAIR + (1 - OTHER_PAIR) * pair
    found += variance[SURFACE] * _matern(squares[True] + squares[False]) * method * across
    if points.method is not None and any(
        points.columns[c].under != "distiller" for c in points.inputs
    ):
        found += variance[SHARED] * _matern(squares[False]) * across
    return float(found)


def _matern(squared: float) -> float:
    r = (5 * squared) ** 0.5
    return float((1 + r + r * r / 3) * np.exp(-r))


@pytest.mark.parametrize("name", ["methods and pairs", "shared", "no methods", "nested"])
def test_posterior_is_that_of_the_textbook(name: str) -> None:
    """Rasmussen & Williams, eq. 2.25 and 2.26, with inverses and no Cholesky factor."""
    points = Points(space(name))
    kernel, rng = Kernel(points), np.random.default_rng(2)
    seen, asked = rows_of(points, SEEN), rows_of(points, ASKED)
    scores, noise, theta = rng.normal(size=SEEN), rng.random(SEEN), theta_of(kernel)

    def dense(a: Array, b: Array) -> Array:
        return np.array([[covariance(points, x, y, theta) for y in b] for x in a])

    own = np.exp(2 * theta[NOISE]) + noise + 1e-8
    inverse = np.linalg.inv(dense(seen, seen) + np.diag(own))
    middle = np.median(scores)
    mean = middle + dense(asked, seen) @ inverse @ (scores - middle)
    joint = dense(asked, asked) - dense(asked, seen) @ inverse @ dense(seen, asked)
    apart = np.sqrt(np.diag(joint) + joint[2, 2] - 2 * joint[2])

    found = posterior(kernel, theta, seen, scores, noise)
    np.testing.assert_allclose(found.at(asked)[0], mean, atol=1e-8)
    np.testing.assert_allclose(found.at(asked)[1], np.sqrt(np.diag(joint)), atol=1e-6)
    np.testing.assert_allclose(found.apart(asked, 2), apart, atol=1e-5)


@pytest.mark.parametrize("name", ["methods and pairs", "shared", "nested"])
def test_gradient_is_that_of_finite_differences(name: str) -> None:
    points = Points(space(name))
    kernel, rows = Kernel(points), rows_of(points, SEEN)
    theta, step = theta_of(kernel), 1e-5
    weight = np.random.default_rng(3).normal(size=(SEEN, SEEN))
    weight = weight + weight.T
    slope = kernel.gradient(rows, theta, weight)
    for at in range(len(theta)):
        aside = step * (np.arange(len(theta)) == at)
        apart = kernel(rows, rows, theta + aside) - kernel(rows, rows, theta - aside)
        assert slope[at] == pytest.approx((weight * apart).sum() / (2 * step), abs=1e-5)


def test_what_makes_no_difference_gets_a_long_length() -> None:
    points = Points(space("no methods"))
    kernel, rows = Kernel(points), rows_of(points, 40)
    theta = likeliest(kernel, rows, 3 * np.sin(6 * rows[:, 2]))
    lengths = dict(zip([points.columns[at].path for at in points.inner], theta[-2:], strict=True))
    assert lengths["training.lr"] + 1 < lengths["distiller.weight"]


def test_scores_of_one_method_say_something_of_another_where_they_share_a_parameter() -> None:
    """What a learning rate is worth under one method is likely what it is worth under another."""
    points = Points(space("shared"))
    shared = {"training.batch": 4}
    good, bad = {**shared, "training.lr": 0.9}, {**shared, "training.lr": 0.011}
    seen = [{"distiller": "none", **good}] * 3 + [{"distiller": "none", **bad}] * 3
    kd = {"distiller": "kd", "distiller.kd.weight": 0.1, "distiller.kd.temperature": 2.0}

    def encoded(settings: list[dict[str, object]]) -> Array:
        return points.encode(np.array([points.row(one) for one in settings]))

    kernel = Kernel(points)
    scores = np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    believed = posterior(kernel, kernel.prior, encoded(seen), scores, np.zeros(6))
    mean, _ = believed.at(encoded([{**kd, **good}, {**kd, **bad}]))
    assert mean[0] > mean[1] + 0.2
