"""A made-up problem in which a third of a range diverges."""

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from afdcd.bench.curves import SEED_NOISE, VALIDATIONS, drop
from afdcd.bench.world_spaces import LOG, plain_space
from afdcd.search.policy.points import Array, Points


@dataclass(frozen=True)
class Edge:
    """A search of two numbers in which the upper third of the learning rate diverges.

    `best` is where in its range the best learning rate lies, from 0 to 1.
    """

    best: float
    seed: int
    limit: float = 2 / 3

    @cached_property
    def space(self) -> dict[str, Any]:
        return plain_space({"method": "kd", "weight": LOG}, lr={"log": [0.001, 1.0]})

    @cached_property
    def points(self) -> Points:
        return Points(self.space)

    @property
    def references(self) -> list[Array]:
        return []

    def run(self, row: Array, seed: int = 0) -> Array:
        rng = np.random.default_rng([self.seed, zlib.crc32(row.tobytes()), seed])
        paths = [column.path for column in self.points.columns]
        rate, weight = row[paths.index("training.lr")], row[paths.index("distiller.weight")]
        value = 70 - 8 * (rate - self.best) ** 2 - 2 * (weight - 0.5) ** 2
        shown = value - drop("power", 1.0) + SEED_NOISE * rng.normal()
        shown = shown + 0.15 * rng.normal(size=VALIDATIONS)
        if rate > self.limit:
            shown[rng.integers(0, VALIDATIONS // 2) :] = np.nan
        return np.asarray(shown)
