"""The picture of what a study's model believes: a panel for every parameter."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from afdcd.search.slices import Slice, short

ACROSS = 3  # panels in a row
SURE = 1.96  # deviations on both sides that hold 95 %


def picture(found: Sequence[Slice], title: str, label: str) -> bytes:
    """A PNG. Band: 95 % of the belief; dots: full runs; lines: the chosen and the published value."""
    from matplotlib.figure import Figure  # an extra: nobody else needs it

    down = -(-len(found) // ACROSS)
    across = min(ACROSS, len(found))
    figure = Figure(figsize=(3.4 * across, 0.6 + 2.4 * down), layout="constrained")
    panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for panel, one in zip(panels, found, strict=False):
        _draw(panel, one)
    for panel in panels[len(found) :]:
        panel.set_axis_off()
    for panel in panels[::across]:
        panel.set_ylabel(f"{label}, %", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    figure.suptitle(title, fontsize=10)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=110, format="png")
    return stream.getvalue()


def _draw(panel: Any, one: Slice) -> None:
    numeric = one.kind != "choice"
    place = {value: at for at, value in enumerate(one.values)}

    def at(value: Any) -> float:
        return float(value if numeric else place[value])

    along = [at(value) for value in one.values]
    low, high = (100 * (one.mean + side * SURE * one.deviation) for side in (-1, 1))
    if numeric:
        panel.fill_between(along, low, high, alpha=0.2, label="believed, 95 %")
        panel.plot(along, 100 * one.mean)
    else:
        ends = np.vstack([100 * one.mean - low, high - 100 * one.mean])
        panel.errorbar(along, 100 * one.mean, ends, fmt="s", capsize=3, label="believed, 95 %")
        panel.set_xticks(along, [str(value) for value in one.values])
    values, scores = [at(v) for v, _ in one.seen], [100 * score for _, score in one.seen]
    panel.plot(values, scores, "o", color="0.3", markersize=4, label="full runs of the method")
    panel.axvline(at(one.chosen), color="tab:red", linewidth=1, label="chosen")
    for n, value in enumerate(one.published):
        label = "published" if n == 0 else None
        panel.axvline(at(value), color="tab:green", linestyle="--", linewidth=1, label=label)
    if one.kind == "log":
        panel.set_xscale("log")
    panel.set_xlabel(short(one.path), fontsize=8)
    panel.tick_params(labelsize=7)
    panel.grid(alpha=0.3)
