"""What is known of the published data sets: how many images, which share of the pixels is what.

Wrong labels are seldom unreadable. Palette indices read as gray, another edition's numbers or a list
cut short show in these figures.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.splits import Split

_IGNORED = "(ignored)"
_FEW = 100  # images below which a share says little

# Class -> smallest and largest share of all pixels that a split of the published set may show: VOC
# and CamVid counted on all their labels; Cityscapes and ADE20K are common knowledge, not counted.
_SHARES: dict[str, dict[str, tuple[float, float]]] = {
    "voc": {"background": (0.65, 0.75)},
    "cityscapes": {_IGNORED: (0.08, 0.15)},
    "ade20k": {_IGNORED: (0.06, 0.10)},
    "camvid": {"Road": (0.24, 0.34)},
}


def count_warnings(dataset: Dataset, splits: Iterable[Split]) -> list[str]:
    """`splits`: one entry per image that was found."""
    found = Counter(splits)
    return [
        f"{split} has {found[split]} images, published {count}"
        for split, count in dataset.counts.items()
        if found[split] != count
    ]


def share_warnings(
    dataset: Dataset, pixels: Mapping[Split, Sequence[int]], rows: Mapping[Split, int]
) -> list[str]:
    """Shares of pixels that the published labels do not have; splits of few images say nothing."""
    names = (*dataset.classes, _IGNORED)
    return [
        f"{split}: {share:.1%} of the pixels are {name}, {low:.0%} to {high:.0%} expected: are the "
        "labels in the encoding that was recognised?"
        for name, (low, high) in _SHARES.get(dataset.name, {}).items()
        for split, counts in pixels.items()
        if rows[split] >= _FEW and split not in dataset.unlabelled
        for share in [counts[names.index(name)] / sum(counts)]
        if not low <= share <= high
    ]
