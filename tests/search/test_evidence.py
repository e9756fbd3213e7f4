"""Means, spreads and paired intervals, against numbers worked out elsewhere."""

import math

import pytest
from scipy import stats

from afdcd.search.evidence import Difference, difference, half_width, spread

FIRST = {1: 0.50, 2: 0.54, 3: 0.47, 4: 0.52, 5: 0.51}
SECOND = {1: 0.48, 2: 0.53, 3: 0.46, 4: 0.49, 5: 0.50}


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    """A textbook table has 2.776 for four degrees of freedom."""
    found = difference(FIRST, SECOND)
    assert found is not None
    apart = [FIRST[seed] - SECOND[seed] for seed in FIRST]
    low, high = stats.ttest_rel(list(FIRST.values()), list(SECOND.values())).confidence_interval()
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
    assert found.half == pytest.approx(2.776 * found.sd / math.sqrt(5), rel=1e-3)
    assert found.mean == pytest.approx(sum(apart) / 5)
    assert found.verdict == "better"
    assert str(found) == f"+1.60 points [{100 * low:+.2f}, {100 * high:+.2f}]"


def test_what_seeds_share_is_not_counted_as_luck() -> None:
    """Unpaired, these would not be distinguishable."""
    unpaired = stats.ttest_ind(list(FIRST.values()), list(SECOND.values())).confidence_interval()
    assert unpaired.low < 0 < unpaired.high
    paired = difference(FIRST, SECOND)
    assert paired and paired.verdict == "better"


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.02, "better"), (-0.02, "worse"), (0.005, "not distinguishable")]
)
def test_a_verdict_needs_an_interval_without_zero(mean: float, verdict: str) -> None:
    assert half_width(0.01, 5) == pytest.approx(0.0124, abs=1e-4)
    assert Difference(mean, 0.01, 5).verdict == verdict


def test_fewer_than_three_seeds_prove_nothing() -> None:
    assert Difference(0.5, 0.001, 2).verdict == "unproven"
    assert Difference(0.5, math.nan, 1).verdict == "unproven"


def test_only_seeds_that_both_have_are_compared() -> None:
    found = difference({1: 0.5, 2: 0.6, 3: 0.9}, {1: 0.4, 2: 0.5, 4: 0.1})
    assert found and found.n == 2 and found.mean == pytest.approx(0.1)
    assert difference({1: 0.5}, {2: 0.5}) is None


def test_where_lower_is_better_the_lower_one_is() -> None:
    found = difference(FIRST, SECOND, higher_is_better=False)
    assert found and found.verdict == "worse"


def test_how_many_seeds_would_settle_it() -> None:
    """The first number whose interval is narrower than the difference; one less is not enough."""
    open_question = Difference(0.005, 0.01, 5)
    enough = open_question.settled_by()
    assert enough == 18
    assert half_width(0.01, 18) < 0.005 < half_width(0.01, 17)
    assert Difference(1e-6, 0.01, 5).settled_by() is None


def test_equal_values_are_not_distinguishable_and_constant_ones_are() -> None:
    assert Difference(0.0, 0.0, 5).verdict == "not distinguishable"
    assert Difference(0.01, 0.0, 5).verdict == "better"


def test_a_spread_is_of_a_single_seed() -> None:
    assert str(spread(FIRST)) == "50.80 ± 2.59 % over 5 seeds"
    assert str(spread({1: 0.5})) == "50.00 % with one seed"
