"""Which row is shown when: a function of seed and place alone, so that nothing is saved to resume."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from afdcd.seeds import derive


@dataclass(frozen=True)
class Pools:
    """The rows that have labels, and those that have none.

    Places count the images that are shown, over all iterations and ranks. Each pool is shown in an
    order of its own, anew in every epoch of its own.

    Attributes:
        labelled, unlabelled: rows.
        share: of the images that are unlabelled, 0 to below 1; the two take turns as evenly as it
            allows. None: all rows are one pool.
    """

    labelled: np.ndarray
    unlabelled: np.ndarray
    share: float | None = None

    def row(self, seed: int, place: int) -> int:
        if self.share is None:
            count = len(self.labelled) + len(self.unlabelled)
            return _shuffled(seed, place, count)
        before, after = int(place * self.share), int((place + 1) * self.share)
        if after > before:
            return int(self.unlabelled[_shuffled(seed, before, len(self.unlabelled))])
        return int(self.labelled[_shuffled(seed, place - before, len(self.labelled))])


def _shuffled(seed: int, place: int, rows: int) -> int:
    epoch, place = divmod(place, rows)
    return int(_order(seed, epoch, rows)[place])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, rows: int) -> np.ndarray:
    order = np.arange(rows, dtype=np.uint32)
    np.random.default_rng(derive(seed, "order", epoch)).shuffle(order)
    return order
