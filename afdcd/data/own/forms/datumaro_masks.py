"""Datumaro's "common semantic segmentation": `images/`, `masks/` and `dataset_meta.json`.

Source: openvinotoolkit.github.io/datumaro, data formats, Common Semantic Segmentation. The JSON has
`label_map` (number -> name), or `labels` in order; `segmentation_colors` in the same order where
masks are coloured.
"""

from collections.abc import Sequence
from typing import Any

from afdcd.config import UserError
from afdcd.data.catalog.train_ids import RGB
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
        # By number, for JSON keys stand in any order ("10" before "2") and colours follow numbers.
        numbered = sorted((int(number), str(name).strip()) for number, name in labels.items())
        given = [_rgb(colour) for colour in meta.get("segmentation_colors") or ()]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(
            f"{where}: no label_map of numbers and names (with segmentation_colors of three numbers "
            "each, if masks are coloured); export it again"
        ) from None
    names: dict[Raw, str] = dict(numbered)
    return ClassTable(file, names, _coloured(list(names.values()), given, where))


def _coloured(names: Sequence[str], colours: Sequence[RGB], where: str) -> dict[Raw, str]:
    if colours and len(colours) != len(names):
        raise UserError(
            f"{where}: {len(names)} labels and {len(colours)} segmentation_colors: which is whose is "
            "not known; write one for each label, in the order of their numbers"
        )
    named: dict[Raw, str] = {}
    for name, colour in zip(names, colours, strict=False):  # there may be none
        enter(named, colour, name, where)
    return named


def _rgb(colour: Any) -> RGB:
    red, green, blue = (int(channel) for channel in colour)
    return red, green, blue
