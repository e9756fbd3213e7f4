"""A bar chart of how much of each split's pixels every class has."""

import io

import numpy as np

from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.splits import SPLITS
from afdcd.data.shards.manifest import Manifest

_LINE = 0.17  # height of a class's bar with its gap, in inches


def histogram(manifest: Manifest, dataset: Dataset) -> bytes:
    """A PNG: one panel per labelled split, one bar per class in its colour, largest class first.

    The axis is logarithmic: the rarest class of a street scene has a hundredth of a per cent.
    """
    from matplotlib.figure import Figure  # an extra: nobody else needs it

    splits = [s for s in SPLITS if manifest.rows(s) and s not in dataset.unlabelled]
    shares = {
        split: 100 * np.array(manifest.pixels[split]) / max(1, sum(manifest.pixels[split]))
        for split in splits
    }
    order = [*np.argsort(-shares[splits[0]][:-1], kind="stable").tolist(), len(dataset.classes)]
    names = [*dataset.classes, "(ignored)"]
    colours = [tuple(c / 255 for c in rgb) for rgb in (*dataset.palette, dataset.ignored_colour)]
    least = min((share[share > 0].min() for share in shares.values()), default=0.01)
    figure = Figure(figsize=(3 + 3.2 * len(splits), 1.1 + _LINE * len(order)), layout="constrained")
    panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
    for panel, split in zip(panels, splits, strict=True):
        values = shares[split][order]
        panel.barh(
            range(len(order)),
            values,
            color=[colours[index] for index in order],
            edgecolor="0.4",
            linewidth=0.4,
        )
        for place, value in enumerate(values):
            text = f" {value:.2g}" if value else " none"
            panel.text(max(value, least / 2), place, text, va="center", fontsize=6)
        panel.set_xscale("log")
        panel.set_xlim(least / 2, 400)  # room for the figure of a bar of 100 %
        panel.set_xticks([t for t in 10.0 ** np.arange(-8, 3) if t >= least / 2])
        panel.xaxis.set_major_formatter("{x:g}")
        panel.set_title(f"{split}: {manifest.rows(split)} images", fontsize=9)
        panel.set_xlabel("% of pixels", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.grid(axis="x", alpha=0.3)
        panel.set_axisbelow(True)
    panels[0].set_yticks(range(len(order)), [names[index] for index in order])
    panels[0].set_ylim(len(order) - 0.4, -0.6)
    figure.suptitle(f"{manifest.dataset}: share of pixels per class", fontsize=10)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=110, format="png")
    return stream.getvalue()
