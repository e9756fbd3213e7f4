"""What the counts mean: `python -m tests.faults.kill` itself needs many minutes and several servers."""

import pytest

from tests.faults.outcome import Facts, difference

RIGHT: Facts = {"row trial-0000 value": ["0.5"], "page trial-0000 status": ["FINISHED"]}


def test_what_is_the_same_is_no_fault() -> None:
    assert difference(RIGHT, {name: [*facts] for name, facts in RIGHT.items()}) == ({}, [])


@pytest.mark.parametrize(
    "kind, found",
    [
        ("lost", {"page trial-0000 status": ["FINISHED"]}),
        ("doubled", {**RIGHT, "row trial-0000 value": ["0.5", "0.5"]}),
        ("doubled", {**RIGHT, "row trial-0001 value": ["0.5"]}),
        ("zombie", {**RIGHT, "page trial-0000 status": ["RUNNING"]}),
        ("wrong", {**RIGHT, "row trial-0000 value": ["0.4999"]}),
    ],
)
def test_each_difference_counts_once_as_what_it_is(kind: str, found: Facts) -> None:
    counts, lines = difference(RIGHT, found)
    assert counts == {kind: 1}
    assert len(lines) == 1
