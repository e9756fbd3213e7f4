"""Successive halving as a function of values."""

import pytest

from afdcd.search.rungs import goes_on, rungs, values_at


@pytest.mark.parametrize(
    ("grace", "reduction", "expected"),
    [
        (100, 3, [100, 300, 900]),
        (1, 3, [100, 300, 800]),  # below the first validation: several rungs would be one
        (250, 2, [300, 500]),
        (1000, 2, []),  # there a run ends by itself
        (150, 2, [200, 300, 600]),
    ],
)
def test_rungs_are_validations_and_distinct(
    grace: int, reduction: int, expected: list[int]
) -> None:
    assert rungs(1000, 100, grace, reduction) == expected


def test_one_in_reduction_goes_on() -> None:
    others = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert [goes_on(value, others, 3, True) for value in (0.35, 0.4, 0.45)] == [False, True, True]
    assert [goes_on(value, others, 3, False) for value in (0.25, 0.2)] == [False, True]
    assert goes_on(0.0, [], 3, True)  # nobody else is there yet
    assert not goes_on(0.0, [0.1], 3, True)
    assert goes_on(0.1, [0.1], 3, True)


def test_only_values_of_the_same_iteration_are_compared() -> None:
    assert values_at(20, [{10: 0.9, 20: 0.4}, {10: 0.8}, {20: 0.5}]) == [0.4, 0.5]
