"""Which row is shown when."""

from collections import Counter

import numpy as np
import pytest

from afdcd.data.train.order import Pools

ROWS = np.arange(12)


def test_without_a_share_every_row_once_an_epoch() -> None:
    pools = Pools(ROWS[:8], ROWS[8:])
    for epoch in range(3):
        assert sorted(pools.row(5, 12 * epoch + place) for place in range(12)) == ROWS.tolist()


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9])
def test_a_share_holds_in_every_stretch_and_each_pool_has_epochs_of_its_own(share: float) -> None:
    pools = Pools(ROWS[:8], ROWS[8:], share)
    shown = [pools.row(5, place) for place in range(400)]
    counts = Counter(shown)
    unlabelled = sum(counts[row] for row in range(8, 12))
    assert abs(unlabelled - 400 * share) <= 1
    for start in range(0, 400, 20):  # evenly, not in blocks
        assert abs(sum(row >= 8 for row in shown[start : start + 20]) - 20 * share) <= 1
    for pool in (range(8), range(8, 12)):
        often = [counts[row] for row in pool]
        assert max(often) - min(often) <= 1
