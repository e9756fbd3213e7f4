"""Pictures with equal bytes in two splits, found without reading those that cannot be equal."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from afdcd.data.catalog.datasets import UNLABELLED
from afdcd.data.images import PictureError
from afdcd.data.pairs import Pair
from afdcd.data.places import Place, read, stamp


def without_copies(folder: Path, pairs: Sequence[Pair]) -> tuple[list[Pair], list[str], list[str]]:
    """`pairs` without unlabelled pictures that judge; `refused` and `warnings`, a line each.

    A labelled picture in two splits stays: which of them is right only a person knows.
    """
    first: dict[str, Pair] = {}
    kept: list[Pair] = []
    refused: list[str] = []
    warnings: list[str] = []
    hashes = _hashes(folder, pairs)
    for pair in sorted(pairs, key=lambda pair: pair.split in ("train", UNLABELLED)):
        digest = hashes.get(pair.image)
        before = first.setdefault(digest, pair) if digest else pair
        judged = before.split in ("val", "test")
        if pair.split == UNLABELLED and judged:
            refused.append(
                f"{pair.image}: the same bytes as {before.image} of {before.split}, which judges: "
                "take it out of the unlabelled pictures"
            )
            continue
        if judged and pair.split != before.split:
            warnings.append(f"{before.image} of {before.split} has the same bytes as {pair.image}")
        kept.append(pair)
    order = {id(pair): place for place, pair in enumerate(pairs)}
    return sorted(kept, key=lambda pair: order[id(pair)]), refused, _brief(warnings)


def _brief(warnings: Sequence[str]) -> list[str]:
    if not warnings:
        return []
    return [
        f"{len(warnings)} pictures are in two splits, e.g. {warnings[0]}: scores are too good by them"
    ]


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
