"""mmsegmentation's custom data set: `img_dir/` and `ann_dir/`, `splits/*.txt` of stems.

Source: mmsegmentation 1.x, docs/en/advanced_guides/datasets.md and add_datasets.md. The classes are
in a Python config only, which is never executed: a person must say them. `reduce_zero_label=True`
there is `--ignore 0` here.
"""

from pathlib import PurePosixPath

from afdcd.data.own.found import Found, Hints, Said
from afdcd.data.own.lists import find_lists
from afdcd.data.own.mask_set import mask_set
from afdcd.data.own.tree import Tree

_MARKERS = frozenset({"img_dir", "ann_dir"})


def mmseg_dirs(tree: Tree, hints: Hints) -> Found | None:
    if not {PurePosixPath(folder).name for folder in tree.folders} >= _MARKERS:
        return None
    files = [file for file in tree.files if _MARKERS & set(PurePosixPath(file).parts[:-1])]
    return mask_set(
        tree, hints, "mmsegmentation img_dir and ann_dir", Said(), files, find_lists(tree)
    )
