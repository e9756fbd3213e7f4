"""Ranks with ties: what is told apart, what is not, and how many questions are asked at once."""

import pytest

from afdcd.search.ranks import Ranked, ranked


def around(mean: float, *luck: float) -> dict[int, float]:
    """Scores of five seeds; what is shared by all settings does not hide a difference."""
    shared = (0.03, -0.02, 0.01, 0.0, -0.02)
    return {s: mean + shared[s] + (luck[s] if luck else 0.0) for s in range(5)}


A_LITTLE = (0.001, -0.001, 0.0005, 0.0, -0.0005)
MUCH = (0.02, -0.03, 0.01, 0.02, -0.02)


def test_far_apart_seed_by_seed_are_ranks_of_their_own() -> None:
    found = ranked([around(0.40), around(0.50, *A_LITTLE), around(0.45)], higher_is_better=True)
    assert [(one.at, one.rank, one.tied) for one in found] == [(1, 1, ()), (2, 2, ()), (0, 3, ())]


def test_what_cannot_be_told_apart_shares_a_rank() -> None:
    found = ranked([around(0.40), around(0.50), around(0.501, *MUCH)], higher_is_better=True)
    assert found == [Ranked(2, 1, (1,)), Ranked(1, 1, (2,)), Ranked(0, 3)]


def test_where_less_is_better_the_least_is_first() -> None:
    found = ranked([around(0.40), around(0.50)], higher_is_better=False)
    assert [one.at for one in found] == [0, 1]


def test_a_rank_is_led_by_the_first_that_was_told_apart() -> None:
    """The second cannot be told from the first nor from the third, which is told from the first."""
    first, third = around(0.50), around(0.46, *A_LITTLE)
    found = ranked([third, around(0.48, *MUCH), first], higher_is_better=True)
    assert [(one.at, one.rank) for one in found] == [(2, 1), (1, 1), (0, 3)]
    assert found[1].tied == (2, 0)


def test_fewer_than_three_seeds_have_no_rank_and_none_at_all_come_last() -> None:
    two = dict.fromkeys((0, 1), 0.9)
    found = ranked([{}, two, around(0.4)], higher_is_better=True)
    assert [(one.at, one.rank) for one in found] == [(2, 1), (1, None), (0, None)]


@pytest.mark.parametrize(("count", "told"), [(2, True), (14, False)])
def test_the_more_rows_the_more_is_asked_of_each_pair(count: int, told: bool) -> None:
    """A difference that one comparison believes is expected by chance among ninety-one."""
    best = around(0.50, 0.004, -0.004, 0.003, -0.002, -0.001)
    found = ranked([best, *([around(0.49)] * (count - 1))], higher_is_better=True)
    assert (found[0].tied == ()) is told
