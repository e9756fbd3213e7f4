"""The pictures and masks of a folder, whatever it is called and wherever the splits are said.

Pictures and masks lie in two folders (`images/` and `masks/`, in any of the words people use), or
beside each other. Folders of splits and of places may be above or below those two.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import PurePosixPath

from afdcd.config import UserError
from afdcd.data.catalog.splits import Split
from afdcd.data.formats import SUFFIXES
from afdcd.data.own.beside import told_apart
from afdcd.data.own.folder_words import Spot, spot
from afdcd.data.own.found import Found, Hints, Said
from afdcd.data.own.lists import Lists, assign, find_lists
from afdcd.data.own.pairing import Named, pair
from afdcd.data.own.tree import Tree, nfc
from afdcd.data.own.trimming import trimmed

_GIF = ".gif"
_ENDING = re.compile(r"\.(png|bmp|tiff?|webp|gif)$", re.IGNORECASE)  # --mask-suffix _mask.png


def mask_set(
    tree: Tree,
    hints: Hints,
    form: str,
    said: Said,
    files: Iterable[str] | None = None,
    lists: Lists | None = None,
) -> Found | None:
    """What `form` finds in `files`, all of the tree's by default; None without any pair.

    Raises:
        UserError: it cannot be told which mask is whose, or which split a picture is of.
    """
    sides = _sides(tree.files if files is None else files, hints)
    return None if sides is None else paired_set(tree, hints, form, said, *sides, lists=lists)


def paired_set(
    tree: Tree,
    hints: Hints,
    form: str,
    said: Said,
    pictures: Sequence[Named],
    masks: Sequence[Named],
    lists: Lists | None = None,
) -> Found:
    """As `mask_set`, of pictures and masks that a form tells apart itself."""
    _refuse_gif(masks)
    suffix = hints.mask_suffix and _ENDING.sub("", hints.mask_suffix)
    pictures, masks = trimmed(pictures, masks, suffix)
    paired = pair(pictures, masks, suffix)
    assigned = assign(tree, paired.items, find_lists(tree) if lists is None else lists)
    return Found(
        form=form,
        items=assigned.items,
        said=said,
        refused=(*paired.refused, *assigned.refused),
        remarks=(*_trimming(pictures, masks), *paired.remarks, *assigned.remarks),
        unlisted=tuple(sorted({*paired.unlisted, *assigned.unlisted})),
        mask_suffix=paired.suffix,
    )


def _trimming(pictures: Sequence[Named], masks: Sequence[Named]) -> list[str]:
    cut = [min(side) for side in (pictures, masks) if min(side).key not in ("", min(side).name)]
    files = " and ".join(named.file for named in cut)
    return [f"names pair without the words that all of them have, as in {files}"] if cut else []


def pictures_in(tree: Tree, folder: str, split: Split | None) -> list[Named]:
    """The pictures, or masks, of a folder of which a file says what it holds."""
    files = [f for f in tree.below(folder) if f.lower().endswith((*SUFFIXES, _GIF))]
    return [Named(stem_below(file, folder), file, split) for file in files]


def stem_below(file: str, folder: str) -> str:
    """The path of `file` below `folder` without its ending, in NFC: a name for pairing."""
    path = PurePosixPath(file).relative_to(folder)
    return nfc(str(path.with_name(path.name.rpartition(".")[0] or path.name)))


def _sides(files: Iterable[str], hints: Hints) -> tuple[list[Named], list[Named]] | None:
    """Pictures and masks; folders that say their kind go before files beside each other."""
    files = [file for file in files if file.lower().endswith((*SUFFIXES, _GIF))]
    wrapped = _shared([tuple(file.split("/")[:-1]) for file in files])
    spots = [spot(file, wrapped) for file in files]
    masks = [found for found in spots if found.kind == "mask"]
    pictures = [found for found in spots if found.kind == "picture"]
    pictures = pictures or [found for found in spots if found.kind is None]
    pictures = [found for found in pictures if not found.file.lower().endswith(_GIF)]
    if masks and pictures:
        return _named(pictures, "pictures"), _named(masks, "masks")
    return told_apart(_in_place(spots), hints.mask_suffix)


def _in_place(spots: Sequence[Spot]) -> list[Named]:
    """By path below the folder that all of them share, whatever the folders are called."""
    paths = [PurePosixPath(found.root, found.name) for found in spots]
    shared = _shared([path.parts[:-1] for path in paths])
    return [
        Named("/".join(path.parts[shared:]), found.file, found.split)
        for path, found in zip(paths, spots, strict=True)
    ]


def _named(spots: Sequence[Spot], what: str) -> list[Named]:
    """By path below the folder that says the kind, with what places above differ in.

    Raises:
        UserError: two folders hold files of the same names.
    """
    shared = _shared([found.above for found in spots])
    named = [
        Named("/".join((*found.above[shared:], found.name)), found.file, found.split)
        for found in spots
    ]
    roots: dict[tuple[str, str | None], Spot] = {}
    for one, found in zip(named, spots, strict=True):
        first = roots.setdefault((one.name, one.split), found)
        if found.kind and first.root != found.root:
            raise UserError(
                f"{first.file} and {found.file}: two folders of {what}, and which to read is not "
                "said: move one of the folders out of the source"
            )
    return named


def _shared(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders all paths begin with."""
    levels = zip(*folders, strict=False)
    return len(list(takewhile(lambda level: len(set(level)) == 1, levels)))


def _refuse_gif(masks: Sequence[Named]) -> None:
    """Writers of GIF renumber the values: a mask of one class is all 0, whichever class it is."""
    gifs = sorted(mask.file for mask in masks if mask.file.lower().endswith(_GIF))
    if gifs:
        folder = gifs[0].rpartition("/")[0] or "."
        raise UserError(
            f"{gifs[0]}: {len(gifs)} masks are GIF, which may number the same class differently in "
            f"each file: convert them (`cd {folder} && mogrify -format png -colorspace gray *.gif`) "
            "and remove the GIF files"
        )
