"""What to say of masks that are named as no picture, or as a picture that has a mask already.

Several masks for one picture, one for each class or object, are never read: which lies on top where
two of them overlap is in no file.
"""

from collections import Counter
from collections.abc import Collection, Mapping

from afdcd.config import UserError
from afdcd.data.own.suffixes import counts_up, ending

_SHOWN = 6


def orphan(file: str) -> str:
    return f"{file}: no picture of this name: add it, or remove the mask"


def stranger(place: str, suffix: str, pictures: Collection[str], files: Mapping[str, str]) -> str:
    """Of a mask that does not pair although others do with `suffix`.

    Args:
        place: its name, a key of `files`, which holds all masks.

    Raises:
        UserError: pictures have several masks.
    """
    base = place.removesuffix(suffix)
    added = ending(base, pictures)
    if added is None or (counts_up(added) and not counts_up(suffix)):
        return orphan(files[place])
    if not added and place + suffix not in files:
        return f"{files[place]}: does not end in {suffix} as the other masks do: rename it"
    picture = base.removesuffix(added)
    rivals = {other for other in files if other.startswith(picture)}
    rivals.add(next(other for other in sorted(files) if other.endswith(suffix)))
    read = "those to read" if suffix else "those to read (none)"
    raise _several(
        [files[rival] for rival in rivals],
        f", or name the ending of {read}: --mask-suffix {suffix or repr('')}",
    )


def no_pair(files: Mapping[str, str], pictures: Collection[str], asked: str | None) -> UserError:
    """Where no mask at all is named as a picture."""
    if several := _in_folders(files, pictures):
        return _several([files[place] for place in several], "")
    also = "" if asked is None else f" and {asked!r}"
    return UserError(
        f"{min(files.values())}: none of {len(files)} masks is named as its picture{also}, e.g. "
        f"{min(pictures)}: rename them, or say what masks add with --mask-suffix"
    )


def _in_folders(places: Collection[str], pictures: Collection[str]) -> list[str]:
    """Masks in a folder for each picture, or for each class."""
    folders = Counter(place.rpartition("/")[0] for place in places)
    alone = Counter(picture.rpartition("/")[0] for picture in pictures)
    stems = Counter(place.rpartition("/")[2] for place in places)
    known = {picture.rpartition("/")[2] for picture in pictures}
    return [
        place
        for place, (folder, _, stem) in ((place, place.rpartition("/")) for place in places)
        if folder in pictures
        or (folder and folders[folder] > 1 and alone[folder] == 1)
        or (stems[stem] > 1 and stem in known)
    ]


def _several(files: Collection[str], remedy: str) -> UserError:
    return UserError(
        f"{', '.join(sorted(files)[:_SHOWN])}: several masks for one picture (one file per class "
        "or object?), and which lies on top where they overlap is not said: merge them into one "
        f"mask of numbers{remedy}"
    )
