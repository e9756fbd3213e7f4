"""The words that people have for the three splits, and for how they come about."""

from pathlib import PurePosixPath
from typing import Literal, get_args

from afdcd.data.catalog.splits import Split

# How pictures are split, as a person asks for it.
SplitBy = Literal["folder", "list", "group", "ratio"]
SPLIT_BY: tuple[SplitBy, ...] = get_args(SplitBy)

_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {name: split for split, names in _NAMES.items() for name in names}


def split_named(word: str) -> Split | None:
    """The split that one word means, in any case."""
    return _SPLIT_OF.get(word.lower())


def split_of(path: str) -> Split | None:
    """The split that a folder of `path` names, the last one if several do."""
    named = (split_named(part) for part in reversed(PurePosixPath(path).parts[:-1]))
    return next(filter(None, named), None)
