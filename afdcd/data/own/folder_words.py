"""The words that people have for folders of pictures and of masks."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

from afdcd.data.catalog.splits import Split
from afdcd.data.own.split_names import split_named
from afdcd.data.own.tree import nfc

Kind: TypeAlias = Literal["picture", "mask", "other"]

_PICTURE = re.compile(r"images?|imgs?|pictures?|photos?|rgb|jpeg|inputs?|originals?")
_MASK = re.compile(
    r"masks?|labels?|labell?ed|lbl|ann|anns|annots?|annotations?|gt|(ground)?truth|seg|segmaps?|segmentations?"
    r"|semantics?|targets?"
)
_VIEWS = re.compile(r"objects?|instances?|panoptic|visuali[sz]ations?|vis|viz|overlays?|previews?")
_FILLER = re.compile(r"dir|folder|set|png|jpg|class|ground|all|default|data")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a file lies, in terms of its kind and split.

    Attributes:
        kind: None where no folder says it.
        above: folders above the one that says the kind, without those that name a split; all of
            them where none says it.
        name: folders below that one, as `above`, and the file's name without its ending, in NFC.
        root: the folder that says the kind, with those above it.
    """

    file: str
    kind: Kind | None
    split: Split | None
    above: tuple[str, ...]
    name: str
    root: str


def spot(file: str, wrapped: int = 0) -> Spot:
    """Where `file` lies: `train/images/north/1.jpg` as well as `images/train/north/1.jpg`.

    A folder whose words are all known goes before one that has other words too: in
    `images/photo_day/1.jpg` it is `images` that says the kind.

    Args:
        wrapped: how many folders hold all files of the set, and so do not tell kinds apart.
    """
    *folders, name = nfc(file).split("/")
    stem = name.rpartition(".")[0] or name
    at = _says_kind(folders, wrapped)
    said = (folder_split(folder) for folder in reversed(folders))
    split: Split | None = next(filter(None, said), None)
    above = tuple(folder for folder in folders[: max(at, 0)] if not _names_set(folder))
    below = [folder for folder in folders[at + 1 :] if not _names_set(folder)]
    if at < 0:
        return Spot(file, None, split, tuple(below), stem, "/".join(below))
    root = "/".join((*above, _without_split(folders[at])))
    return Spot(file, _kind(folders[at]), split, above, "/".join([*below, stem]), root)


def _says_kind(folders: list[str], wrapped: int) -> int:
    """The index of the folder that says the kind, -1 if none does."""
    known = [i for i, folder in enumerate(folders) if i >= wrapped and _kind(folder)]
    exact = [i for i in known if not _foreign(folders[i])]
    return max(exact or known, default=-1)


@cache
def _kind(folder: str) -> Kind | None:
    said = words(folder)
    masks = any(map(_MASK.fullmatch, said))
    views = any(map(_VIEWS.fullmatch, said))
    if (masks and views) or said in (["instance"], ["instances"], ["panoptic"]):
        return "other"  # VOC's `SegmentationObject`, labelme's `SegmentationClassVisualization`
    if masks:  # `label_images` are labels
        return "mask"
    return "picture" if any(map(_PICTURE.fullmatch, said)) else None


@cache
def _foreign(folder: str) -> list[str]:
    """The words that say something else, as the name of a place."""
    known = (_PICTURE, _MASK, _VIEWS, _FILLER)
    return [
        word
        for word in words(folder)
        if not split_named(word) and not any(kind.fullmatch(word) for kind in known)
    ]


@cache
def _names_set(folder: str) -> bool:
    """Whether it says which set its files are of and nothing else: `train`, `val2017`, `default`."""
    said = [word for word in words(folder) if not word.isdigit()]
    return bool(said) and all(split_named(w) or w in ("default", "set") for w in said)


@cache
def folder_split(folder: str) -> Split | None:
    """The split that `train`, `train2017`, `train_masks` or `trainannot` says."""
    if not (_names_set(folder) or _kind(folder)):
        return None
    return next(filter(None, map(split_named, words(folder))), None)


@cache
def _without_split(folder: str) -> str:
    return "_".join(word for word in words(folder) if not split_named(word))


def words(folder: str) -> list[str]:
    """In lower case; SegNet's and CVAT's `trainannot` is two."""
    found = [word.lower() for word in _WORD.findall(folder)]
    return [part for word in found for part in re.sub(r"(.)(annot)$", r"\1 \2", word).split()]
