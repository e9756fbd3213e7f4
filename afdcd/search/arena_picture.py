"""The picture of an arena: every row's mean and its gain over the baseline, each with its interval."""

import io
import math
from typing import Any

from afdcd.search.arena import BASELINE, Arena, Row

COLOURS = {BASELINE: "0.35", "published": "tab:blue", "found": "tab:orange"}  # else of both


def picture(arena: Arena) -> bytes:
    """A PNG. Dots: means; small ones: seeds; lines: 95 % intervals; diamonds: published scores."""
    from matplotlib.figure import Figure  # an extra: nobody else needs it

    rows = [row for row in arena.rows if row.scores]
    figure = Figure(figsize=(10, 1.6 + 0.36 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for at, row in enumerate(rows):
        _draw_mean(left, at, row)
        _draw_gain(right, at, row)
    left.set_yticks(range(len(rows)), [f"{row.name}  ({row.rank or '-'})" for row in rows])
    left.invert_yaxis()
    left.set_xlabel(f"val {arena.label}, %: mean of {len(arena.seeds)} seeds, 95 % interval")
    right.set_xlabel("gain over the baseline, points, 95 % interval")
    right.axvline(0, color="0.35", linewidth=1)
    for panel in (left, right):
        panel.tick_params(labelsize=8)
        panel.grid(axis="x", alpha=0.3)
    _explain(figure, left)
    figure.suptitle(
        f"arena {arena.study}: method, setting (rank; rows of equal rank cannot be told apart from the "
        "first of them)",
        fontsize=10,
    )
    stream = io.BytesIO()
    figure.savefig(stream, dpi=130, format="png")
    return stream.getvalue()


def _draw_mean(panel: Any, at: int, row: Row) -> None:
    colour, spread = COLOURS.get(row.kind, "tab:green"), row.spread
    values = [100 * value for value in row.scores.values()]
    panel.plot(values, [at] * len(values), "|", color=colour, alpha=0.6, markersize=8)
    if spread:
        half = 100 * row.half if row.half is not None else 0.0
        panel.errorbar(100 * spread.mean, at, xerr=half, fmt="o", color=colour, capsize=3)
    if row.figure:
        panel.plot(100 * row.figure.value, at, "D", markerfacecolor="none", color="tab:red")


def _draw_gain(panel: Any, at: int, row: Row) -> None:
    if row.gain is None:
        return
    half = 100 * row.gain.half if math.isfinite(row.gain.half) else 0.0
    colour = COLOURS.get(row.kind, "tab:green")
    panel.errorbar(100 * row.gain.mean, at, xerr=half, fmt="o", color=colour, capsize=3)


def _explain(figure: Any, panel: Any) -> None:
    """A legend of what is drawn, whichever rows there are."""
    for kind, colour in {**COLOURS, "published = found": "tab:green"}.items():
        panel.plot([], [], "o", color=colour, label=kind)
    panel.plot([], [], "|", color="0.35", label="one seed")
    panel.plot([], [], "D", markerfacecolor="none", color="tab:red", label="published score")
    figure.legend(loc="outside lower center", ncols=6, fontsize=8)
