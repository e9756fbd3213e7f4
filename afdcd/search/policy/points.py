"""Settings as rows of numbers: how the samplers see any search space.

A row holds one number for each range and choice of the space, in the order of the file: where in its
range a value lies, from 0 to 1; which option is chosen, as its index; not-a-number where a place does
not exist, because it lies in an option that is not chosen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import exp, log
from typing import Any

import numpy as np

from afdcd.search.space import Choice, Range

Array = np.ndarray
METHOD, PAIR = "distiller", "pair"  # sections of a space
OPTION = 0.5  # side of the cube whose corners stand for options; a whole range is 1 long


@dataclass(frozen=True)
class Column:
    """A range or choice. It exists where `parent`, a column, has the option `option`."""

    path: str
    node: Range | Choice
    parent: int | None
    option: int | None

    @property
    def steps(self) -> int | None:
        """How many values it can have; None if any number between its ends."""
        if isinstance(self.node, Choice):
            return len(self.node.labels)
        whole = self.node.kind == "int"
        return int(self.node.high - self.node.low) // self.node.step + 1 if whole else None

    @property
    def under(self) -> str:
        """The section of the file that it lies in."""
        return self.path.partition(".")[0]

    def number(self, value: Any) -> float:
        """A value of the range or choice as the number in a row."""
        if isinstance(self.node, Choice):
            return float(self.node.labels.index(value))
        low, high = self.node.low, self.node.high
        if self.node.kind == "log":
            return log(value / low) / log(high / low)
        return (value - low) / (high - low)

    def value(self, number: float) -> Any:
        """The number in a row as a value of the range or choice."""
        number = float(number)  # of numpy, which a database does not know
        if isinstance(self.node, Choice):
            return self.node.labels[int(number)]
        low, high = self.node.low, self.node.high
        if self.node.kind == "int":
            return int(low) + self.node.step * round(number * (high - low) / self.node.step)
        logarithmic = self.node.kind == "log"
        value = low * exp(number * log(high / low)) if logarithmic else low + number * (high - low)
        return min(max(value, low), high)  # which rounding may have left

    def snapped(self, numbers: Array) -> Array:
        """The nearest numbers that stand for a value."""
        if self.steps is None:
            return numbers
        return np.round(numbers * (self.steps - 1)) / (self.steps - 1)


class Points:
    """Rows of one search space: from and to values by path, drawn, moved, and as the model's input.

    Attributes:
        method: the column that chooses the distillation method; None where that is fixed.
        pairs: the columns that choose teacher and student.
    """

    def __init__(self, space: Any) -> None:
        self.columns = tuple(_columns(space, "", None, None, []))
        choices = {c.path: i for i, c in enumerate(self.columns) if isinstance(c.node, Choice)}
        self.method = choices.get(METHOD, choices.get(f"{METHOD}.method"))
        self.pairs = [i for i in choices.values() if self.columns[i].under == PAIR]
        heads = [*self.pairs, *([] if self.method is None else [self.method])]
        self.inner = [i for i in range(len(self.columns)) if i not in heads]
        self._heads = sorted(heads)

    def row(self, values: Mapping[str, Any]) -> Array | None:
        """Values by path as a row; None if they do not lie in the space."""
        row = np.full(len(self.columns), np.nan)
        for at, column in enumerate(self.columns):
            if column.parent is not None and row[column.parent] != column.option:
                continue
            value = values.get(column.path)
            if value is None or not column.node.holds(value):
                return None
            row[at] = column.number(value)
        return row

    def values(self, row: Array) -> dict[str, Any]:
        """A row as values by path."""
        named = zip(self.columns, row, strict=True)
        return {column.path: column.value(at) for column, at in named if not np.isnan(at)}

    @cached_property
    def branches(self) -> list[Array]:
        """Every combination of method and pair: rows in which all else is not-a-number."""
        found: dict[bytes, Array] = {}
        for picked in product(*(range(self.columns[at].steps or 1) for at in self._heads)):
            row = np.full((1, len(self.columns)), np.nan)
            row[0, self._heads] = picked
            row = self._pruned(row)[0]
            found[row.tobytes()] = row
        return list(found.values())

    def heads(self, rows: Array) -> Array:
        """The part of rows that says which method and which pair."""
        return np.nan_to_num(rows[:, self._heads], nan=-1.0)

    def draw(self, rng: np.random.Generator, count: int, branch: Array) -> Array:
        """Rows anywhere in a branch, or wherever else `branch` has no number yet."""
        drawn = np.empty((count, len(self.columns)))
        for at, column in enumerate(self.columns):
            if column.steps is None:
                drawn[:, at] = rng.random(count)
            else:
                drawn[:, at] = rng.integers(0, column.steps, count)
                if isinstance(column.node, Range):
                    drawn[:, at] /= column.steps - 1
        return self._pruned(np.where(np.isnan(branch), drawn, branch))

    def near(self, rng: np.random.Generator, rows: Array, width: Array, branch: Array) -> Array:
        """One row of the branch near each of `rows`: numbers by `width` of a range, some options."""
        anywhere = self.draw(rng, len(rows), branch)
        moved = np.where(np.isnan(rows), anywhere, rows)
        for at, column in enumerate(self.columns):
            if isinstance(column.node, Choice):
                other = rng.random(len(rows)) < 1.5 * width
                moved[other, at] = rng.integers(0, len(column.node.labels), int(other.sum()))
            else:
                aside = moved[:, at] + width * rng.normal(size=len(rows))
                moved[:, at] = column.snapped(np.clip(aside, 0, 1))
        return self._pruned(np.where(np.isnan(branch), moved, branch))

    def _pruned(self, rows: Array) -> Array:
        """Without numbers where a place does not exist; a parent stands before what lies in it."""
        for at, column in enumerate(self.columns):
            if column.parent is not None:
                rows[rows[:, column.parent] != column.option, at] = np.nan
        return rows

    @cached_property
    def inputs(self) -> list[int]:
        """The column that each of the model's inputs beside method and pair is made of."""
        made = []
        for at in self.inner:
            node = self.columns[at].node
            made += [at] * (len(node.labels) if isinstance(node, Choice) else 1)
        return made

    def encode(self, rows: Array) -> Array:
        """The model's inputs: number of the method, number of the pair, then all else.

        A value that does not exist is as far from both ends of its range, and from all options.
        """
        encoded = np.zeros((len(rows), 2 + len(self.inputs)))
        if self.method is not None:
            encoded[:, 0] = rows[:, self.method]
        for at in self.pairs:
            options = self.columns[at].steps or 0
            absent = np.nan_to_num(rows[:, at], nan=options)
            encoded[:, 1] = encoded[:, 1] * (options + 1) + absent
        to = 2
        for at in self.inner:
            column, here = self.columns[at], ~np.isnan(rows[:, at])
            if isinstance(column.node, Choice):
                encoded[here, to + rows[here, at].astype(int)] = OPTION
                to += len(column.node.labels)
            else:
                encoded[here, to] = rows[here, at] - 0.5
                to += 1
        return encoded


def _columns(
    space: Any, name: str, parent: int | None, option: int | None, found: list[Column]
) -> list[Column]:
    """`found`, and after it what lies in `space`."""
    if isinstance(space, Range | Choice):
        found.append(Column(name, space, parent, option))
        at = len(found) - 1
        if isinstance(space, Choice):
            for index, (label, inside) in enumerate(zip(space.labels, space.options, strict=True)):
                _columns(inside, f"{name}.{label}", at, index, found)
    elif isinstance(space, dict | list | tuple):
        for part, item in _items(space):
            _columns(item, f"{name}.{part}" if name else str(part), parent, option, found)
    return found


def _items(space: Any) -> Iterator[tuple[Any, Any]]:
    return iter(space.items() if isinstance(space, dict) else enumerate(space))
