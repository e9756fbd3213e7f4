"""The rule of runs that no measurement guides."""

import pytest

from afdcd.distillers.algorithm import by_rule

MANY, FEW = 16 * 64 * 128, 2 * 64 * 128  # positions of docs/performance.md


@pytest.mark.parametrize(
    ("positions", "hidden", "gpu", "expected"),
    [
        (MANY, 0.75, True, "kept+winograd"),
        (FEW, 0.75, True, "kept"),
        (MANY, 1 / 9, True, "winograd"),
        (FEW, 1 / 9, True, "dense"),
        (MANY, 0.75, False, "kept"),
        (MANY, 1 / 9, False, "dense"),
    ],
)
def test_rule_follows_what_was_measured(
    positions: int, hidden: float, gpu: bool, expected: str
) -> None:
    assert by_rule(positions, hidden, gpu=gpu) == expected
