"""Which row is shown when: a function of seed and place alone, so that nothing is saved to resume."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from afdcd.seeds import derive


@dataclass(frozen=True)
class Pools:
    """The rows that have labels, and those that have none.

    Each pool is shown in an order of its own, anew in every epoch of its own.

    Attributes:
        labelled, unlabelled: rows.
        share: of the images that are unlabelled, 0 to below 1; each batch has its share to a whole
            image. None: all rows are one pool.
    """

    labelled: np.ndarray
    unlabelled: np.ndarray
    share: float | None = None

    def row(self, seed: int, batch: int, iteration: int, index: int) -> int:
        """What place `index` of the global batch `iteration` of `batch` images shows."""
        shown = iteration * batch
        if self.share is None:
            return _shuffled(seed, shown + index, len(self.labelled) + len(self.unlabelled))
        before, after = int(shown * self.share), int((shown + batch) * self.share)
        lacking, place = _places(seed, iteration, batch, after - before)[index]
        if lacking:
            return int(self.unlabelled[_shuffled(seed, before + place, len(self.unlabelled))])
        return int(self.labelled[_shuffled(seed, shown - before + place, len(self.labelled))])


@lru_cache(maxsize=2)
def _places(seed: int, iteration: int, batch: int, lacking: int) -> tuple[tuple[bool, int], ...]:
    """For each place whether it is unlabelled, and the how many-th of its kind it is.

    Drawn anew for each batch: by a fixed pattern one rank, or one part of an accumulated batch,
    would see labelled pictures alone, and its batch norm no others.
    """
    drawn = np.random.default_rng(derive(seed, "unlabelled", iteration)).permutation(batch)
    chosen = set(drawn[:lacking].tolist())
    counts = {True: 0, False: 0}
    places = []
    for index in range(batch):
        kind = index in chosen
        places.append((kind, counts[kind]))
        counts[kind] += 1
    return tuple(places)


def _shuffled(seed: int, place: int, rows: int) -> int:
    epoch, place = divmod(place, rows)
    return int(_order(seed, epoch, rows)[place])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, rows: int) -> np.ndarray:
    order = np.arange(rows, dtype=np.uint32)
    np.random.default_rng(derive(seed, "order", epoch)).shuffle(order)
    return order
