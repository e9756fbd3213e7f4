"""What a study's model believes of every parameter: slices through its posterior at the chosen setting."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from afdcd.config import UserError
from afdcd.search.kept import Kept
from afdcd.search.policy.model import Model
from afdcd.search.policy.points import METHOD, Array, Column, Points
from afdcd.search.policy.process import Posterior
from afdcd.search.policy.tried import Reader, Tried
from afdcd.search.records import is_maximised
from afdcd.search.space import Choice

STEPS = 60  # at which a range is looked at


@dataclass(frozen=True)
class Slice:
    """One parameter varied, all others as in the chosen setting.

    Attributes:
        path: of the parameter in the search space.
        values: where it is looked at: along its range, or its options.
        mean: believed true scores there; `deviation` of them.
        seen: value and score of every full run of the chosen method, whatever else it had.
        chosen: the value in the chosen setting.
        published: the values of the method's settings that a person gave.
        kind: of the range, `log` for example; `choice` of options.
    """

    path: str
    values: list[Any]
    mean: Array
    deviation: Array
    seen: list[tuple[Any, float]]
    chosen: Any
    published: list[Any]
    kind: str


def slices(space: Any, kept: Kept) -> list[Slice]:
    """Of the best setting that has something to vary.

    Args:
        space: the ranges of the study, see `afdcd.search.space`.

    Raises:
        UserError: no trial came to its end, or nothing of it was searched.
    """
    points, maximise = Points(space), is_maximised(kept.study)
    reader = Reader(points, lambda entry: entry.searched, maximise=maximise)
    tried, model = reader.read(kept.entries()), Model(points)
    rows = (points.row(entry.searched) for entry in model.ranked(tried))
    varied = (row for row in rows if row is not None and not np.isnan(row[points.inner]).all())
    row = next(varied, None)
    if row is None:
        raise UserError(
            f"study {kept.study.study_name!r}: no full run in this search space has a parameter to "
            "draw; give the file that the study was begun with, or wait for its first full runs"
        )
    own = _of_method(points, tried, row)
    believed, unit = model.posterior(tried), tried.unit * (1 if maximise else -1)
    return [
        _slice(points, believed, tried, own, row, at, unit)
        for at in points.inner
        if not np.isnan(row[at])
    ]


def _slice(
    points: Points,
    believed: Posterior,
    tried: Tried,
    own: Array,
    row: Array,
    at: int,
    unit: float,
) -> Slice:
    column = points.columns[at]
    numbers = _along(column)
    rows = np.repeat(row[None], len(numbers), axis=0)
    rows[:, at] = numbers
    mean, deviation = believed.at(points.encode(rows))
    seen = [i for i in own if np.isfinite(tried.finals[i]) and not np.isnan(tried.rows[i, at])]
    given = [i for i in own if tried.entries[i].is_reference and not np.isnan(tried.rows[i, at])]
    return Slice(
        column.path,
        [column.value(number) for number in numbers],
        mean * unit,
        deviation * abs(unit),
        [(column.value(tried.rows[i, at]), tried.entries[i].value or 0.0) for i in seen],
        column.value(row[at]),
        list(dict.fromkeys(column.value(tried.rows[i, at]) for i in given)),
        "choice" if isinstance(column.node, Choice) else column.node.kind,
    )


def _along(column: Column) -> Array:
    """The numbers of a column's values; of a range without steps, as many as a curve needs."""
    if column.steps is None:
        return np.linspace(0, 1, STEPS)
    if isinstance(column.node, Choice):
        return np.arange(column.steps, dtype=float)
    return np.linspace(0, 1, column.steps)


def _of_method(points: Points, tried: Tried, row: Array) -> Array:
    """Runs of the same distillation method, with whatever networks."""
    if points.method is None:
        return np.arange(len(tried.entries))
    return np.flatnonzero(tried.rows[:, points.method] == row[points.method])


def short(path: str) -> str:
    """A path without the section that all of them share."""
    return path.removeprefix(f"{METHOD}.")
