"""What is amiss with a data set as a whole, which no single file shows."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.splits import SPLITS, Split
from afdcd.data.pairs import Layout, Pair
from afdcd.text import printable

_NAMED = 4  # classes that get a line each


def unlisted(layout: Layout) -> list[str]:
    count = len(layout.unlisted)
    if not count:
        return []
    return [f"{count} files are on no list and were left out, e.g. {printable(layout.unlisted[0])}"]


def dev_warnings(dataset: Dataset, layout: Layout) -> list[str]:
    if any(pair.split == "train" and dataset.held_out(pair.key) for pair in layout.pairs):
        return []
    return [
        f"protocol dev selects on {dataset.selects} of train, of which there is none: prepare them, too, "
        "or set data.protocol: official"
    ]


def class_warnings(dataset: Dataset, pixels: dict[Split, tuple[int, ...]]) -> list[str]:
    """Classes that cannot be learned, or whose score says nothing."""
    seen = {split: np.array(counts[:-1]) > 0 for split, counts in pixels.items()}
    anywhere = np.any(list(seen.values()), axis=0)
    lacking: dict[str, list[str]] = defaultdict(list)
    for train, name in enumerate(dataset.classes):
        if not anywhere[train]:
            lacking["no label: merge or leave out"].append(name)
        elif not seen["train"][train]:
            lacking["no label of train, so it cannot be learned"].append(name)
        elif not seen["val"][train]:
            lacking["no label of val, so it selects nothing"].append(name)
    return [line for fault, names in lacking.items() for line in _lacking(names, fault)]


def _lacking(names: Sequence[str], fault: str) -> list[str]:
    """A line for each of a few classes, one for many."""
    if len(names) > _NAMED:
        return [f"{len(names)} classes are in {fault}: {', '.join(names)}"]
    return [f"class {name} is in {fault}" for name in names]


def repeated(pairs: Sequence[Pair]) -> list[str]:
    """Keys must be unique over all splits: a frame in two of them would leak into the report."""
    counts = Counter(pair.key for pair in pairs)
    return [
        f"{pair.image}: {pair.key} is listed {counts[pair.key]} times: keep one"
        for pair in pairs
        if counts[pair.key] > 1
    ]


def empty(layout: Layout) -> list[str]:
    present = {pair.split for pair in layout.pairs}
    return [
        f"no pair for {split}: nothing could be trained or selected on it; fetch the whole data set"
        for split in SPLITS[:2]
        if split not in present
    ]
