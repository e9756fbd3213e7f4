"""Pictures and masks with a table of their classes: colours or numbers.

Markers, each from a family of published sets: `class_dict.csv` (Kaggle's CamVid, DeepGlobe, Semantic
Drone: `name,r,g,b`), `label_colors.txt` (Cambridge's CamVid: `r g b name`; also CVAT's and datumaro's
"CamVid" export, with `train/`, `trainannot/` and lists), `codes.txt` (fast.ai: a name a line, whose
number is the value; `valid.txt` lists what does not train). No table says what is ignored.
"""

from collections.abc import Mapping
from dataclasses import replace

from afdcd.data.images import PictureError
from afdcd.data.own.found import Found, Hints, Raw, Said
from afdcd.data.own.mask_set import mask_set
from afdcd.data.own.mask_values import stores_numbers
from afdcd.data.own.tables import ClassTable, numbered_lines, read_table
from afdcd.data.own.tree import Tree
from afdcd.data.places import read

_TABLES = (
    *("class_dict.csv", "labels_class_dict.csv", "class_dict_seg.csv", "classes.csv"),
    *("label_colors.txt", "label_colours.txt", "class_colors.csv", "colors.csv"),
)
_LOOKS = 16  # masks that are opened to see whether they hold numbers or colours


def class_tables(tree: Tree, hints: Hints) -> Found | None:
    tables, codes = tree.named(*_TABLES), tree.named("codes.txt")
    if not tables and not codes:
        return None
    file = (tables or codes)[0]
    found = mask_set(tree, hints, f"masks with {file.rpartition('/')[2]}", Said())
    if found is None:
        return None
    return with_names(tree, found, read_table(tree, file) if tables else numbered_lines(tree, file))


def with_names(tree: Tree, found: Found, table: ClassTable) -> Found:
    """`found` with the names of `table`; where it has both kinds, the masks say which they hold."""
    names: Mapping[Raw, str] = table.colours or table.numbers
    if table.colours and table.numbers and _numbers(tree, found):
        names = table.numbers
    colours = {name: raw for raw, name in table.colours.items() if isinstance(raw, tuple)}
    said = Said(names, colours=colours, source=table.source)
    return replace(found, said=said)


def _numbers(tree: Tree, found: Found) -> bool:
    """Whether the first mask that can be read holds numbers."""
    for item in found.items[:_LOOKS]:
        try:
            if item.label is not None:
                return stores_numbers(read(tree.root, item.label))
        except (OSError, PictureError):
            continue
    return False
