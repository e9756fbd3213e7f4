"""Datumaro's "common semantic segmentation": `images/`, `masks/` and `dataset_meta.json`.

Source: openvinotoolkit.github.io/datumaro, data formats, Common Semantic Segmentation. The JSON has
`label_map` (number -> name), or `labels` in order; `segmentation_colors` in the same order where
masks are coloured.
"""

from typing import Any

from afdcd.config import UserError
from afdcd.data.own.forms.class_tables import with_names
from afdcd.data.own.found import Found, Hints, Raw, Said
from afdcd.data.own.mask_set import mask_set
from afdcd.data.own.tables import ClassTable, enter
from afdcd.data.own.tree import Tree


def datumaro_masks(tree: Tree, hints: Hints) -> Found | None:
    metas = tree.named("dataset_meta.json")
    if not metas:
        return None
    found = mask_set(tree, hints, "datumaro images, masks and dataset_meta.json", Said())
    return found and with_names(tree, found, _table(tree, metas[0]))


def _table(tree: Tree, file: str) -> ClassTable:
    meta = tree.json(file)
    where = str(tree.root / file)
    try:
        labels = meta.get("label_map") or dict(enumerate(meta["labels"]))
        names: dict[Raw, str] = {int(number): str(name).strip() for number, name in labels.items()}
        colours: dict[Raw, str] = {}
        for name, colour in zip(
            names.values(), meta.get("segmentation_colors") or (), strict=False
        ):
            enter(colours, _rgb(colour), name, where)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(
            f"{where}: no label_map of numbers and names (with segmentation_colors of three numbers "
            "each, if masks are coloured); export it again"
        ) from None
    return ClassTable(file, names, colours)


def _rgb(colour: Any) -> tuple[int, int, int]:
    red, green, blue = (int(channel) for channel in colour)
    return red, green, blue
