"""What early validations are worth."""

import numpy as np

from afdcd.search.policy.promise import promises

SHARES = (0.25, 0.5, 0.75, 1.0)


def curve(final: float, gains: tuple[float, ...] = (3.0, 2.0, 1.0)) -> dict[float, float]:
    scores = final - np.cumsum((0.0, *reversed(gains)))[::-1]
    return dict(zip(SHARES, map(float, scores), strict=True))


def test_what_others_gained_is_added() -> None:
    finals = np.array([0.0, 1.0, -1.0, 0.5, np.nan])
    curves = [curve(final) for final in finals[:4]] + [{0.25: -5.5}]  # six below its end of 0.5
    promised, variance = promises(curves, finals, np.zeros(5))
    assert abs(promised[4] - 0.5) < 0.5
    assert variance[4] > 0.02


def test_a_method_that_learns_late_is_not_taken_for_a_weak_one() -> None:
    late = (1.0, 1.0, 6.0)
    finals = np.array([0.0] * 8 + [np.nan, np.nan])
    curves = [curve(0.0)] * 4 + [curve(0.0, late)] * 4 + [{0.5: -7.0}, {0.5: -7.0}]
    methods = np.array([0] * 4 + [1] * 4 + [0, 1])
    promised, _ = promises(curves, finals, methods)
    assert promised[9] > promised[8] + 0.5


def test_early_order_counts_as_far_as_it_agreed_with_final_order() -> None:
    rng = np.random.default_rng(0)
    finals = rng.normal(size=30)
    early = {"agrees": finals, "does not": rng.permutation(finals)}
    found = {}
    for name, order in early.items():
        curves = [{0.5: float(e), 1.0: float(f)} for e, f in zip(order, finals, strict=True)]
        curves += [{0.5: 1.0}, {0.5: -1.0}]
        given = np.r_[finals, np.nan, np.nan]
        promised, variance = promises(curves, given, np.zeros(32))
        found[name] = promised[30] - promised[31], variance[30]
    assert found["agrees"][0] > 1.5 > 0.8 > found["does not"][0]
    assert found["agrees"][1] < 0.1 < found["does not"][1]
