"""Roboflow's "semantic segmentation masks": `{train,valid,test}/` with `_classes.csv` in each.

Source: luxonis-ml's reader of that export. Pictures `x.jpg` and masks `x_mask.png` lie in one folder;
the table has the columns `Pixel Value, Class`, with a blank after the comma.
"""

from afdcd.config import UserError
from afdcd.data.own.found import Found, Hints, Said
from afdcd.data.own.mask_set import mask_set
from afdcd.data.own.tables import read_table
from afdcd.data.own.tree import Tree


def roboflow_masks(tree: Tree, hints: Hints) -> Found | None:
    tables = [
        read_table(tree, file) for file in tree.named("_classes.csv") if _of_masks(tree, file)
    ]
    if not tables:
        return None
    first = tables[0]
    for other in tables[1:]:
        values = sorted({*first.numbers, *other.numbers}, key=str)
        unlike = [v for v in values if first.numbers.get(v) != other.numbers.get(v)]
        if unlike:
            raise UserError(
                f"{tree.root}: {first.source} and {other.source} give numbers to different classes, "
                f"e.g. {unlike[0]} is {first.numbers.get(unlike[0], 'none')!r} and "
                f"{other.numbers.get(unlike[0], 'none')!r}: export all splits of one version"
            )
    said = Said(first.numbers, source=first.source)
    return mask_set(tree, hints, "Roboflow semantic segmentation masks", said, lists={})


def _of_masks(tree: Tree, file: str) -> bool:
    """Its export for classification has a `_classes.csv` as well, of file names."""
    lines = tree.lines(file)
    return bool(lines) and "pixel" in lines[0].lower()
