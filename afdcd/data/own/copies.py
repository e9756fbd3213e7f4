"""Pictures with equal bytes in two splits, found without reading those that cannot be equal."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

from afdcd.data.catalog.splits import UNLABELLED
from afdcd.data.images import PictureError
from afdcd.data.pairs import Pair
from afdcd.data.places import Place, read, stamp

_JUDGES = ("test", "val", "held out")
_ORDER = (*_JUDGES, "train", UNLABELLED)
_WORDS = {
    "test": "test, which reports",
    "val": "val, which selects",
    "held out": "train, which selects under protocol dev",
    "train": "train",
    UNLABELLED: "the unlabelled ones",
}
_TWICE = "pictures are in two splits, so scores are too good by them"
_KNOWN = "unlabelled pictures are labelled ones of train"


def without_copies(
    folder: Path, pairs: Sequence[Pair], held_out: Set[str] = frozenset()
) -> tuple[list[Pair], list[str], list[str]]:
    """`pairs` without unlabelled pictures that judge; `refused` and `warnings`, a line each.

    A labelled picture in two splits stays: which of them is right only a person knows.

    Args:
        held_out: keys of train that select under protocol `dev`, so they judge, too.
    """
    first: dict[str, Pair] = {}
    lost: set[int] = set()
    refused: list[str] = []
    twice: list[str] = []
    known: list[str] = []
    uses = {id(pair): _use(pair, held_out) for pair in pairs}
    hashes = _hashes(folder, pairs)
    for pair in sorted(pairs, key=lambda pair: _ORDER.index(uses[id(pair)])):
        digest = hashes.get(pair.image)
        before = first.setdefault(digest, pair) if digest else pair
        use, other = uses[id(before)], uses[id(pair)]
        same = f"the same bytes as {before.image} of {_WORDS[use]}"
        if other == UNLABELLED and use in _JUDGES:
            lost.add(id(pair))
            refused.append(f"{pair.image}: {same}: take it out of the unlabelled pictures")
        elif other == UNLABELLED and use == "train":
            known.append(f"{pair.image} has {same}")
        elif use != other:
            twice.append(f"{pair.image} of {_WORDS[other]} has {same}")
    kept = [pair for pair in pairs if id(pair) not in lost]
    return kept, refused, [*_brief(twice, _TWICE), *_brief(known, _KNOWN)]


def _use(pair: Pair, held_out: Set[str]) -> str:
    return "held out" if pair.split == "train" and pair.key in held_out else pair.split


def _brief(found: Sequence[str], what: str) -> list[str]:
    return [f"{len(found)} {what}, e.g. {found[0]}"] if found else []


def _hashes(folder: Path, pairs: Iterable[Pair]) -> dict[Place, str]:
    """sha256 of the pictures that share their size with another one."""
    sizes: dict[int, list[Place]] = defaultdict(list)
    for pair in pairs:
        sizes[stamp(folder, pair.image)[0]].append(pair.image)
    alike = [place for places in sizes.values() if len(places) > 1 for place in places]
    return {place: digest for place in alike if (digest := _sha256(folder, place))}


def _sha256(folder: Path, place: Place) -> str | None:
    try:
        return hashlib.sha256(read(folder, place)).hexdigest()
    except (OSError, PictureError):
        return None  # judging will say so
