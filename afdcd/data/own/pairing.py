"""Which mask belongs to which picture: by path below the two roots, without what masks add to it.

Keys are those paths without the folder that names a split. Where two splits hold equal paths, as
`train/000` and `val/000`, all keys of the set begin with their split.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from afdcd.config import UserError
from afdcd.data.catalog.datasets import Split
from afdcd.data.own.found import Item
from afdcd.data.own.suffixes import affix, common_suffix, counts_up, ending

_PICTURE_WORDS = "image|img|im|photo|picture|input|rgb|sat|leftImg8bit"
_MASK_WORDS = "mask|label|gt|seg|annotation|target"


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
    found = _suffix(masks, pictures, names, split_both, suffix)
    owned: list[Named] = []
    places = {mask: _place(mask, split_both) for mask in sorted(masks)}
    taken = set(places.values())
    for mask, place in places.items():
        base = _base(place, found)
        if base in names:
            owned.append(Named(base, mask.file, mask.split))
        elif suffix is None:
            refused.append(_stranger(mask, place, found, names, taken))
        elif base is not None:
            refused.append(_orphan(mask))
    labels, several = _single(owned, False, "mask")
    spoiled = {mask.name for mask in owned if mask.name not in labels}
    pairs = {
        place: (picture, labels.get(place))
        for place, picture in photos.items()
        if place not in spoiled
    }
    kept, unlisted, remarks = _withheld(pairs)
    items = _items(kept, labels, found)
    return Paired(items, found, tuple(sorted(refused + several)), remarks, unlisted)


def trimmed(
    pictures: Sequence[Named], masks: Sequence[Named], suffix: str | None
) -> tuple[Sequence[Named], Sequence[Named]]:
    """The same, without `img_` and `mask_`, or `_sat`, where no mask is named as a picture.

    Only words that mean nothing but the kind are cut off, and only if all names have them.
    """
    names = {picture.name for picture in pictures}
    if suffix is not None or common_suffix([mask.name for mask in masks], names) is not None:
        return pictures, masks
    beginning, _ = affix([mask.name for mask in masks], _MASK_WORDS)
    return (
        _cut(pictures, *affix([picture.name for picture in pictures], _PICTURE_WORDS)),
        _cut(masks, beginning, ""),  # what they end with is found as their suffix
    )


def _cut(files: Sequence[Named], beginning: str, end: str) -> Sequence[Named]:
    cut = []
    for named in files:
        folder, slash, name = named.name.rpartition("/")
        name = folder + slash + name.removeprefix(beginning).removesuffix(end)
        cut.append(replace(named, name=name, key=named.name))
    return cut


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


def _suffix(
    masks: Sequence[Named],
    pictures: Sequence[Named],
    names: set[str],
    with_split: bool,
    asked: str | None,
) -> str:
    places = [_place(mask, with_split) for mask in masks]
    found = common_suffix(places, names) if asked is None else asked
    if found is None or not any(_base(place, found) in names for place in places):
        if several := [p for p in places if p.rpartition("/")[0] in names]:
            raise UserError(
                f"{', '.join(sorted(several)[:6])}: several masks for one picture, a folder of them "
                "for each, and which lies on top where they overlap is not said: merge them into one "
                "mask of numbers, named as the picture"
            )
        ending_said = "" if asked is None else f" and {asked!r}"
        raise UserError(
            f"{min(masks).file}: none of {len(masks)} masks is named as its picture{ending_said}, "
            f"e.g. {min(pictures).file}: rename them, or say what masks add with --mask-suffix"
        )
    return found


def _stranger(mask: Named, place: str, suffix: str, names: set[str], taken: set[str]) -> str:
    """A mask that does not pair: its picture is missing, or each picture has several masks."""
    base = _base(place, suffix)
    base = place if base is None else base
    added = ending(base, names)
    if added is None or counts_up(added):
        return _orphan(mask)
    if not added and place + suffix not in taken:
        return f"{mask.file}: does not end in {suffix} as the other masks do: rename it"
    picture = base.removesuffix(added)
    rivals = sorted(other.rpartition("/")[2] for other in taken if other.startswith(picture))
    raise UserError(
        f"{PurePosixPath(mask.file).parent}: {', '.join(rivals[:6])}: several masks for one "
        "picture, and which lies on top where they overlap is not said: merge them into one mask, "
        f"or name the ending of those to read, as --mask-suffix {suffix or repr('')}"
    )


def _orphan(mask: Named) -> str:
    return f"{mask.file}: no picture of this name: add it, or remove the mask"


def _withheld(
    pairs: dict[str, tuple[Named, Named | None]],
) -> tuple[dict[str, tuple[Named, Named | None]], tuple[str, ...], tuple[str, ...]]:
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
    pairs: dict[str, tuple[Named, Named | None]], labels: dict[str, Named], suffix: str
) -> tuple[Item, ...]:
    keys = [picture.key or picture.name for picture, _ in pairs.values()]
    clash = len(set(keys)) < len(keys)
    homes = _mask_homes(labels, suffix)
    items = []
    for picture, mask in pairs.values():
        key = picture.key or picture.name
        key = f"{picture.split}/{key}" if clash and picture.split else key
        label = mask.file if mask else _expected(picture, homes, suffix)
        items.append(
            Item(key, picture.file, label, picture.split or (mask.split if mask else None))
        )
    return tuple(sorted(items, key=lambda item: item.key))


def _mask_homes(labels: dict[str, Named], suffix: str) -> dict[Split | None, tuple[str, str]]:
    """For each split, what the path of a mask has before and after its name."""
    homes: dict[Split | None, tuple[str, str]] = {}
    for place, mask in sorted(labels.items()):
        path, _, kind = mask.file.rpartition(".")
        name = place.partition("/")[2] if mask.split and place.startswith(mask.split) else place
        known = path.endswith(name + suffix)
        home = path[: -len(name + suffix)] if known else f"{PurePosixPath(path).parent}/"
        homes.setdefault(mask.split, (home, kind))
    return homes


def _expected(picture: Named, homes: dict[Split | None, tuple[str, str]], suffix: str) -> str:
    """Where the mask of `picture` should be, as those of its split or any other are."""
    home, kind = homes.get(picture.split) or next(iter(homes.values()))
    return f"{home}{picture.name}{suffix}.{kind}"
