"""Which row is shown when."""

from collections import Counter

import numpy as np
import pytest

from afdcd.data.train.order import Pools

ROWS = np.arange(12)


def _shown(pools: Pools, batch: int, iterations: int) -> list[list[int]]:
    return [[pools.row(5, batch, i, index) for index in range(batch)] for i in range(iterations)]


def test_without_a_share_every_row_once_an_epoch() -> None:
    shown = [row for some in _shown(Pools(ROWS[:8], ROWS[8:]), 4, 9) for row in some]
    for epoch in range(3):
        assert sorted(shown[12 * epoch : 12 * epoch + 12]) == ROWS.tolist()


@pytest.mark.parametrize("batch", [1, 4, 5])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9])
def test_each_batch_has_its_share_and_each_pool_epochs_of_its_own(share: float, batch: int) -> None:
    shown = _shown(Pools(ROWS[:8], ROWS[8:], share), batch, 100)
    for some in shown:
        assert abs(sum(row >= 8 for row in some) - batch * share) < 1
    counts = Counter(row for some in shown for row in some)
    assert abs(sum(counts[row] for row in range(8, 12)) - 100 * batch * share) < 1
    for pool in (range(8), range(8, 12)):
        often = [counts[row] for row in pool]
        assert max(often) - min(often) <= 1


def test_no_rank_and_no_part_of_a_batch_sees_one_kind_alone() -> None:
    """Batch norm of a rank, or of a part, would then know nothing of the other."""
    shown = _shown(Pools(ROWS[:8], ROWS[8:], 0.5), 4, 60)
    for index in range(4):
        kinds = [some[index] >= 8 for some in shown]
        assert 15 < sum(kinds) < 45
