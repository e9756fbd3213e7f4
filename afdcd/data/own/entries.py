"""Entries of lists and annotation files: which picture each names, and those that cannot be taken."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from afdcd.config import UserError
from afdcd.data.catalog.splits import Split
from afdcd.data.formats import is_picture
from afdcd.data.own.found import Item
from afdcd.data.own.split_names import split_named
from afdcd.data.own.tree import Tree, nfc
from afdcd.data.places import Place
from afdcd.text import printable

_KINDS = frozenset({"images", "image", "img", "imgs", "jpegimages", "pictures"})
_TOLD = 20
LONGEST = 300  # characters of somebody's file in one line


class NotTakenError(Exception):
    """Why an entry is left out: `reason: remedy`."""


@dataclass
class Refusals:
    """What was not taken, one line for all that have one reason in one file.

    A line is `file: reason: remedy` for one entry and counts more of them, as an export that went
    wrong goes wrong a thousand times.
    """

    _found: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, file: str, entry: str, reason: str) -> None:
        """`entry` is what of `file` is left out, "" for all of it; `reason` ends with the remedy."""
        self._found[file, printable(reason, LONGEST)].append(printable(entry, LONGEST))

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(
            f"{file}: {_listed(entries)}{reason}" for (file, reason), entries in self._found.items()
        )

    @property
    def merged(self) -> tuple[str, ...]:
        """One line for each reason in all files, where a file is as small as a picture's."""
        found: dict[str, list[str]] = defaultdict(list)
        for (file, reason), entries in self._found.items():
            found[reason] += [f"{file}: {entry}" for entry in entries]
        return tuple(
            f"{len(entries)} times, e.g. {entries[0]}: {reason}"
            if len(entries) > 1
            else f"{entries[0]}: {reason}"
            for reason, entries in found.items()
        )


def _listed(entries: Sequence[str]) -> str:
    if len(entries) == 1:
        return f"{entries[0]}: " if entries[0] else ""
    return f"{len(entries)} entries, e.g. {entries[0]}: "


def locate(tree: Tree, path: str, base: str) -> str | None:
    """The file that `path` names, seen from the folder `base`; None where there is none.

    Raises:
        NotTakenError: it leads out of the source folder, whatever lies there.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        raise NotTakenError("an address on the network: name a file inside the source folder")
    if re.match(r"[/\\]|[A-Za-z]:[/\\]", path):
        raise NotTakenError("an absolute path: write it relative to the source folder")
    try:
        return tree.find(path, base)
    except UserError:
        raise NotTakenError(
            "leads out of the source folder: put the file inside it and name it there"
        ) from None


@dataclass(frozen=True)
class Entry:
    """A picture as an annotation file or a list names it.

    Attributes:
        path: below the source folder; for the key only where the picture is no file.
        origin: what names it, for a person.
    """

    path: str
    image: Place
    label: Place
    split: Split | None
    origin: str


def items_of(entries: Iterable[Entry], refusals: Refusals) -> tuple[Item, ...]:
    """Items by key; a picture that is named twice is left out, for nobody knows which is right.

    So are two that would have one key.
    """
    kept = _single(list(entries), lambda entry: nfc(entry.path), refusals, "named twice")
    keys = keys_of([entry.path for entry in kept])
    kept = _single(kept, lambda entry: keys[entry.path], refusals, "two pictures of one name")
    items = (Item(keys[e.path], e.image, e.label, e.split) for e in kept)
    return tuple(sorted(items, key=lambda item: item.key))


def _single(
    entries: list[Entry], key: Callable[[Entry], str], refusals: Refusals, what: str
) -> list[Entry]:
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[key(entry)].append(entry)
    for group in groups.values():
        if len(group) > 1:
            paths = dict.fromkeys(entry.path for entry in group)
            origins = dict.fromkeys(entry.origin for entry in group)
            where = " and ".join([*paths] if len(paths) > 1 else [*origins])
            refusals.add(group[0].path, "", f"{what} ({where}): keep one")
    return [group[0] for group in groups.values() if len(group) == 1]


def keys_of(paths: Sequence[str]) -> dict[str, str]:
    """Path -> key: without its ending, the folders that all share, and those of kinds and splits.

    Where that leaves two alike, folders of kinds and splits stay in all keys.
    """
    stems = {path: PurePosixPath(nfc(path)).with_suffix("").parts for path in paths}
    shared = _shared([stem[:-1] for stem in stems.values()])
    short = {
        path: "/".join([*(part for part in stem[:-1] if not _structural(part)), stem[-1]])
        for path, stem in ((path, stem[shared:]) for path, stem in stems.items())
    }
    if len(set(short.values())) == len(short):
        return short
    return {path: "/".join(stem[shared:]) for path, stem in stems.items()}


def _structural(folder: str) -> bool:
    return folder.lower() in _KINDS or split_named(folder) is not None


def _shared(folders: Sequence[tuple[str, ...]]) -> int:
    """How many parts all folders begin with; the shortest and longest in order decide."""
    if not folders:
        return 0
    low, high = min(folders), max(folders)
    same = (a == b for a, b in zip(low, high, strict=False))
    return next((n for n, equal in enumerate(same) if not equal), min(len(low), len(high)))


def unlisted(tree: Tree, used: Iterable[str]) -> tuple[str, ...]:
    """Pictures that nothing names."""
    known = set(used)
    return tuple(file for file in tree.files if is_picture(file) and file not in known)


def nothing_left(tree: Tree, form: str, refusals: Refusals, remedy: str) -> UserError:
    """What to raise where a form's files are there and none of their entries can be taken."""
    lines = refusals.lines
    more = [f"and {len(lines) - _TOLD} more"] if len(lines) > _TOLD else []
    return UserError("\n".join([*lines[:_TOLD], *more, f"{tree.root}: no {form} left; {remedy}"]))


def class_name(value: object) -> str:
    """A class's name as text: 1 and true are names, too.

    Raises:
        ValueError: none, a list or mapping, or half a letter, which no file can hold.
    """
    if value is None or isinstance(value, list | dict):
        raise ValueError("no name")
    name = str(value).lower() if isinstance(value, bool) else str(value)
    name.encode()
    return name


def is_background(name: str) -> bool:
    """`background`, also as labelme and torchvision write it."""
    return name.strip(" _").lower() == "background"
