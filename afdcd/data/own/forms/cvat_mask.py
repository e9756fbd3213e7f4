"""CVAT's "Segmentation mask 1.1" and datumaro's `voc_segmentation`: a VOC tree with `labelmap.txt`.

Source: docs.cvat.ai, formats, Segmentation mask; datumaro 1.13.12 `plugins/data_formats/voc`. Lines of
the label map are `name:r,g,b:parts:actions`. Masks are RGB, or have a palette whose order need not be
the label map's, so the colour of an index counts. `SegmentationObject` holds instances.

VOC's border (224, 224, 192) is ignored unless it is listed.
"""

from pathlib import PurePosixPath

from afdcd.config import UserError
from afdcd.data.own.found import Found, Hints, Raw, Said
from afdcd.data.own.lists import find_lists
from afdcd.data.own.mask_set import mask_set
from afdcd.data.own.tables import enter
from afdcd.data.own.tree import Tree

_MASKS, _PICTURES = "SegmentationClass", "JPEGImages"
_BORDER = (224, 224, 192)


def cvat_mask(tree: Tree, hints: Hints) -> Found | None:
    maps = tree.named("labelmap.txt")
    if not maps:
        return None
    home = maps[0].rpartition("/")[0]
    files = {
        folder: [f for f in tree.below(home) if folder in PurePosixPath(f).parts[:-1]]
        for folder in (_MASKS, _PICTURES)
    }
    if not files[_MASKS]:
        return None
    if not files[_PICTURES]:
        raise UserError(
            f"{tree.root}: {_MASKS}/ without {_PICTURES}/: export it again with its images "
            "(CVAT: `Save images`)"
        )
    names = _names(tree, maps[0])
    said = Said(names, frozenset({_BORDER} - names.keys()), source=maps[0])
    lists = find_lists(tree, f"{home}/ImageSets/Segmentation".lstrip("/"))
    both = [*files[_PICTURES], *files[_MASKS]]
    return mask_set(tree, hints, "VOC folders with labelmap.txt", said, both, lists)


def _names(tree: Tree, file: str) -> dict[Raw, str]:
    names: dict[Raw, str] = {}
    for number, line in enumerate(tree.text(file).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{tree.root / file}:{number}"
        name, colour = ([*line.strip().split(":"), ""])[:2]
        try:
            red, green, blue = (int(channel) for channel in colour.split(","))
        except ValueError:
            raise UserError(
                f"{where}: no colour: {line.strip()!r}; write {name}:r,g,b:: with the class's colour"
            ) from None
        enter(names, (red, green, blue), name.strip(), where)
    return names
