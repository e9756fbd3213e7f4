"""Masks that lie in one folder with their pictures: told apart by ending, or by what they add."""

from collections.abc import Sequence

from afdcd.data.own.pairing import Named
from afdcd.data.own.suffixes import KNOWN, beside_suffix, common_suffix
from afdcd.data.own.trimming import trimmed

_JPEG = (".jpg", ".jpeg")


def told_apart(files: Sequence[Named], asked: str | None) -> tuple[list[Named], list[Named]] | None:
    """Pictures and masks; None where fewer than half of the masks would have a picture.

    Masks are no JPEG, so `x.jpg` and `x.png` are a picture and its mask. Where pictures are PNG as
    well, masks are those that add a suffix to the name of another file.
    """
    by_format = _paired(_by_format(files), asked)
    by_suffix = _paired(_by_suffix(files, asked), asked)
    count, best = max(by_format, by_suffix, key=lambda found: found[0])
    return best if count and 2 * count >= len(best[1]) else None


Sides = tuple[list[Named], list[Named]]


def _by_format(files: Sequence[Named]) -> Sides:
    photos = [named for named in files if named.file.lower().endswith(_JPEG)]
    return photos, [named for named in files if named not in set(photos)]


def _by_suffix(files: Sequence[Named], asked: str | None) -> Sides:
    names = {named.name for named in files}
    suffix = beside_suffix(names) if asked is None else asked
    if not suffix:
        return [], []
    masks = [n for n in files if n.name.endswith(suffix) and n.name.removesuffix(suffix) in names]
    if suffix in KNOWN:  # the others have lost their picture
        masks = [named for named in files if named.name.endswith(suffix)]
    return [named for named in files if named not in set(masks)], masks


def _paired(sides: Sides, asked: str | None) -> tuple[int, Sides]:
    """How many masks would find a picture."""
    photos, masks = trimmed(*sides, asked)
    names = {photo.name for photo in photos}
    suffix = common_suffix([m.name for m in masks], names) if asked is None else asked
    if suffix is None:
        return 0, sides
    cut = len(suffix)
    return sum(
        m.name.endswith(suffix) and m.name[: len(m.name) - cut] in names for m in masks
    ), sides
