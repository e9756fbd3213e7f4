"""A search space as a finite list: every option, and every step of every whole number."""

from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from afdcd.config import Key, Source, UserError
from afdcd.search.policy.points import Array, Points
from afdcd.search.space import Choice, Range

MOST = 1_000_000  # points of a grid that is listed


class Grid:
    """The points of a space by number.

    Attributes:
        size: how many there are; None if a range in it has no steps.
    """

    def __init__(self, points: Points) -> None:
        self.points = points
        top = [at for at, column in enumerate(points.columns) if column.parent is None]
        self._top = top
        whole = all(column.steps is not None for column in points.columns)
        self.size = prod(self._count(at) for at in top) if whole else None

    def row(self, index: int) -> Array:
        """The point with this number, as a row of `Points`."""
        row = np.full(len(self.points.columns), np.nan)
        self._fill(row, self._top, index)
        return row

    @cached_property
    def rows(self) -> Array:
        """All of them."""
        return np.array([self.row(index) for index in range(self.size or 0)])

    def _fill(self, row: Array, columns: list[int], index: int) -> None:
        for at in columns:
            index, own = divmod(index, self._count(at))
            column = self.points.columns[at]
            if isinstance(column.node, Range):
                row[at] = own / ((column.steps or 2) - 1)
                continue
            option = 0
            while own >= (inside := self._inside(at, option)):
                own, option = own - inside, option + 1
            row[at] = option
            self._fill(row, self._children(at, option), own)

    def _count(self, at: int) -> int:
        """How many points a range or choice has, with all that lies in its options."""
        column = self.points.columns[at]
        if isinstance(column.node, Range):
            return column.steps or 1
        return sum(self._inside(at, option) for option in range(len(column.node.labels)))

    def _inside(self, at: int, option: int) -> int:
        return prod(self._count(child) for child in self._children(at, option))

    def _children(self, at: int, option: int) -> list[int]:
        columns = enumerate(self.points.columns)
        return [i for i, c in columns if c.parent == at and c.option == option]


def check_grid(space: Any, source: Source) -> None:
    """Refuse a space that is no finite list, or too long a one.

    Raises:
        UserError: the range, and what to write in its place.
    """
    if found := _endless(space, ()):
        key, node = found
        ends = f"{node.low:g}, {node.high:g}"
        raise UserError(
            f"{source.at(key)}: {node} has no steps, so `study.sampler: grid` cannot list its values; "
            f"write some of them, {{choice: [{ends}]}}, or search by study.sampler: gp"
        )
    size = Grid(Points(space)).size or 0
    if size > MOST:
        raise UserError(
            f"{source.at(('study', 'sampler'))}: the grid of this space has {size:,} points, more than "
            f"{MOST:,}; give fewer options, or search by study.sampler: gp"
        )


def _endless(space: Any, key: Key) -> tuple[Key, Range] | None:
    if isinstance(space, Range):
        return None if space.kind == "int" else (key, space)
    if isinstance(space, Choice):
        space, key = space.options, (*key, "choice")
    if not isinstance(space, dict | list | tuple):
        return None
    parts = space.items() if isinstance(space, dict) else enumerate(space)
    return next(filter(None, (_endless(item, (*key, part)) for part, item in parts)), None)
