"""The table at the end of a study: every run, the best on top."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afdcd.tasks.score import DEFAULT_MEASURE, Score
from afdcd.text import percent, table

if TYPE_CHECKING:
    from afdcd.search.rows import RunKey


@dataclass(frozen=True)
class Row:
    """A run in the table at a study's end.

    Attributes:
        outcome: of its run; "running" while it goes on.
        iteration: how far it came.
        device_hours: that it took, lost attempts included.
        cause: why it came no further, if something went wrong.
    """

    run: "RunKey"
    score: Score | None
    outcome: str
    iteration: int
    settings: dict[str, Any]
    cause: str = ""
    device_hours: float = 0.0


ORDER = ("completed", "paused", "running")


def trials_table(rows: Sequence[Row]) -> str:
    """Every run of a study: completed ones first, best first; then those that may still be."""
    label = next((row.score.label for row in rows if row.score), DEFAULT_MEASURE.label)
    titles = ("trial", label, "outcome", "iterations", "hours", "settings")
    return table(titles, [_cells(row) for row in sorted(rows, key=_rank)], rules=())


def _cells(row: Row) -> tuple[str, ...]:
    value = percent(row.score.value if row.score else None)
    told = [f"{name}={_short(item)}" for name, item in row.settings.items()]
    last = "  ".join(filter(None, [*told, row.cause])) or "-"
    hours = f"{row.device_hours:.3g}"
    return (str(row.run), value, row.outcome, str(row.iteration), hours, last)


def _rank(row: Row) -> tuple[int, bool, float, int, int]:
    place = ORDER.index(row.outcome) if row.outcome in ORDER else len(ORDER)
    which = row.run.trial, -1 if row.run.seed is None else row.run.seed
    if row.score is None or math.isnan(row.score.value):
        return place, True, 0.0, *which
    sign = -1 if row.score.higher_is_better else 1
    return place, False, sign * row.score.value, *which


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
