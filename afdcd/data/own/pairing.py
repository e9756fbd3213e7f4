"""Which mask belongs to which picture: by path below the two roots, without what masks add to it.

Keys are those paths without the folder that names a split. Where two splits hold equal paths, as
`train/000` and `val/000`, all keys of the set begin with their split.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from afdcd.data.catalog.splits import Split
from afdcd.data.own.found import Item
from afdcd.data.own.suffixes import common_suffix
from afdcd.data.own.unpaired import no_pair, orphan, stranger


@dataclass(frozen=True, slots=True, order=True)
class Named:
    """A file, and its path below its root without split and ending, in NFC.

    Attributes:
        key: where it is not `name`, of which something was cut off for pairing.
    """

    name: str
    file: str
    split: Split | None = None
    key: str = ""


Pairs: TypeAlias = dict[str, tuple[Named, Named | None]]


@dataclass(frozen=True)
class Paired:
    """As in `Found`."""

    items: tuple[Item, ...]
    suffix: str
    refused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


def pair(pictures: Sequence[Named], masks: Sequence[Named], suffix: str | None = None) -> Paired:
    """Pair by name; a picture without a mask gets the path of the one that should exist.

    Args:
        suffix: what masks add to the name of their picture; None finds it.

    Raises:
        UserError: no mask is named as a picture, or pictures have several masks.
    """
    split_both = any(p.split for p in pictures) and any(m.split for m in masks)
    photos, refused = _single(pictures, split_both, "picture")
    names = {_place(picture, split_both) for picture in pictures}
    places = {mask: _place(mask, split_both) for mask in sorted(masks)}
    found = _suffix(places, names, suffix)
    files = {place: mask.file for mask, place in places.items()}
    owned: list[Named] = []
    for mask, place in places.items():
        base = _base(place, found)
        if base in names:
            owned.append(Named(base, mask.file, mask.split))
        elif suffix is None:
            refused.append(stranger(place, found, names, files))
        elif base is not None:
            refused.append(orphan(mask.file))
    labels, several = _single(owned, False, "mask")
    spoiled = {mask.name for mask in owned if mask.name not in labels}
    pairs = {
        place: (picture, labels.get(place))
        for place, picture in photos.items()
        if place not in spoiled
    }
    kept, unlisted, remarks = _withheld(pairs)
    items = _items(kept, _mask_homes(labels, found, split_both), found)
    return Paired(items, found, tuple(sorted(refused + several)), remarks, unlisted)


def _place(named: Named, with_split: bool) -> str:
    return f"{named.split or ''}/{named.name}" if with_split else named.name


def _base(place: str, suffix: str) -> str | None:
    return place[: len(place) - len(suffix)] if place.endswith(suffix) else None


def _single(
    files: Iterable[Named], with_split: bool, what: str
) -> tuple[dict[str, Named], list[str]]:
    """By place; places that two files claim are left out and told."""
    by_place: dict[str, list[Named]] = defaultdict(list)
    for named in sorted(files):
        by_place[_place(named, with_split)].append(named)
    single = {place: found[0] for place, found in by_place.items() if len(found) == 1}
    twice = [
        f"{' and '.join(named.file for named in found)}: {len(found)} {what}s of one name: keep one"
        for found in by_place.values()
        if len(found) > 1
    ]
    return single, twice


def _suffix(places: Mapping[Named, str], names: set[str], asked: str | None) -> str:
    found = common_suffix(places.values(), names) if asked is None else asked
    if found is None or not any(_base(place, found) in names for place in places.values()):
        raise no_pair({place: mask.file for mask, place in places.items()}, names, asked)
    return found


def _withheld(pairs: Pairs) -> tuple[Pairs, tuple[str, ...], tuple[str, ...]]:
    """Leave out sets without any mask: test pictures of a contest, or those of no split at all."""
    splits = {picture.split for picture, _ in pairs.values()}
    labelled = {picture.split for picture, mask in pairs.values() if mask}
    bare = splits - labelled - {"train", "val"} if len(splits) > 1 else set()
    left = {place: pair for place, pair in pairs.items() if pair[0].split in bare}
    files = tuple(sorted(picture.file for picture, _ in left.values()))
    kept = {place: pair for place, pair in pairs.items() if place not in left}
    if not files:
        return kept, (), ()
    remark = f"{len(files)} pictures of a set without masks left out, e.g. {files[0]}"
    return kept, files, (remark,)


def _items(
    pairs: Pairs, homes: dict[Split | None, tuple[str, str]], suffix: str
) -> tuple[Item, ...]:
    keys = [picture.key or picture.name for picture, _ in pairs.values()]
    clash = len(set(keys)) < len(keys)
    items = []
    for picture, mask in pairs.values():
        key = picture.key or picture.name
        key = f"{picture.split}/{key}" if clash and picture.split else key
        label = mask.file if mask else _expected(picture, homes, suffix)
        items.append(
            Item(key, picture.file, label, picture.split or (mask.split if mask else None))
        )
    return tuple(sorted(items, key=lambda item: item.key))


def _mask_homes(
    labels: dict[str, Named], suffix: str, with_split: bool
) -> dict[Split | None, tuple[str, str]]:
    """For each split, what the path of a mask has before and after its name."""
    homes: dict[Split | None, tuple[str, str]] = {}
    for place, mask in sorted(labels.items()):
        path, _, kind = mask.file.rpartition(".")
        name = place.partition("/")[2] if with_split else place
        known = path.endswith(name + suffix)
        home = path[: -len(name + suffix)] if known else f"{PurePosixPath(path).parent}/"
        homes.setdefault(mask.split, (home, kind))
    return homes


def _expected(picture: Named, homes: dict[Split | None, tuple[str, str]], suffix: str) -> str:
    """Where the mask of `picture` should be, as those of its split or any other are."""
    home, kind = homes.get(picture.split) or next(iter(homes.values()))
    return f"{home}{picture.name}{suffix}.{kind}"
