"""Listing raw folders: one pass each and no look at single files, as they hold 118287 of them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from PIL import Image

from afdcd.config import UserError
from afdcd.data.formats import SUFFIXES, is_left_out
from afdcd.data.images import PictureError, decode
from afdcd.text import decoded

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar")
_TRIES = 16


def files_in(source: Path, folder: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Name and path below `source` of the files in `folder` and `depth` levels below it.

    A folder that does not exist is empty. Links are followed. Hidden files and what systems leave
    behind are left out.
    """
    try:
        entries = list(os.scandir(source / folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UserError(f"{source / folder}: cannot be listed ({error.strerror})") from None
    for entry in entries:
        if is_left_out(entry.name):
            continue
        path = f"{folder}/{entry.name}" if folder not in ("", ".") else entry.name
        if not _is_folder(entry):
            yield entry.name, path
        elif depth:
            yield from files_in(source, path, depth - 1)


def folders_in(source: Path, folder: str) -> list[str]:
    """Names of the folders in `folder`; none where it does not exist."""
    try:
        entries = [e.name for e in os.scandir(source / folder) if _is_folder(e)]
    except OSError:
        return []
    return sorted(name for name in entries if not is_left_out(name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads to itself: opening it will say so


def pictures(
    source: Path, folder: str, ending: str = "", depth: int = 0, suffixes: Sequence[str] = SUFFIXES
) -> dict[str, str]:
    """Stem without `ending` -> path below `source`; other names are left out.

    Raises:
        UserError: two files have the same stem, so it names no picture.
    """
    return by_key(files_in(source, folder, depth), ending, suffixes)


def by_key(
    files: Iterable[tuple[str, str]], ending: str = "", suffixes: Sequence[str] = SUFFIXES
) -> dict[str, str]:
    """As `pictures`, of files that were listed before."""
    found: dict[str, str] = {}
    for name, path in files:
        stem, dot, suffix = name.rpartition(".")
        if dot + suffix.lower() not in suffixes or not stem.endswith(ending):
            continue
        key = stem.removesuffix(ending)
        if found.setdefault(key, path) != path:
            raise UserError(f"{found[key]} and {path}: two files named {key}: keep one of them")
    return found


def first_below(source: Path, places: Iterable[str]) -> str | None:
    """The first of the folders that exists."""
    return next((place for place in places if (source / place).is_dir()), None)


def keys_in(listing: Path) -> list[str]:
    """One key per line: a stem, or one or two paths whose file names share the stem.

    Raises:
        UserError: a line is anything else.
    """
    keys: list[str] = []
    for number, line in enumerate(_lines(listing), start=1):
        stems = {PurePosixPath(part).stem for part in line.split()}
        if len(stems) > 1:
            raise UserError(
                f"{listing}:{number}: expected a name, or `image label` of one name, found {line!r}; "
                "blanks part names, so files whose names have some must be renamed"
            )
        keys.extend(stems)
    return keys


def pairs_in(listing: Path) -> list[tuple[str, str]]:
    """`image label` per line; only the last two parts of each path count.

    The published lists hold absolute paths of the machine they were written on.
    """
    found = []
    for number, line in enumerate(_lines(listing), start=1):
        fields = ["/".join(field.split("/")[-2:]) for field in line.split()]
        if len(fields) not in (0, 2):
            raise UserError(
                f"{listing}:{number}: expected `image label`, found {line!r}; blanks part names, so "
                "files whose names have some must be renamed"
            )
        found.extend([(fields[0], fields[1])] if fields else [])
    return found


def _lines(listing: Path) -> list[str]:
    try:
        text = decoded(listing.read_bytes())
    except OSError as error:
        raise UserError(f"{listing}: cannot be read as a list ({error.strerror})") from None
    except UnicodeDecodeError as error:
        reason = f"no UTF-8 (byte {error.start})"
        raise UserError(
            f"{listing}: cannot be read as a list: {reason}; save it as UTF-8"
        ) from None
    return [line.strip().replace("\\", "/") for line in text.splitlines()]


def first_readable(source: Path, labels: Iterable[str]) -> Image.Image | None:
    """The first label that decodes: it tells which encoding all of them have.

    After a few that do not, none will: what is wrong with each is said when all are judged.
    """
    for label in islice(labels, _TRIES):
        try:
            return decode((source / label).read_bytes())
        except (OSError, PictureError):
            continue
    return None


def refusal(source: Path, title: str, looked_for: Sequence[str], remedy: str) -> UserError:
    """One line that names every folder looked for, whether it is there, and what to do."""
    if not source.is_dir():
        return UserError(f"{source}: no such folder; give the one that {title} was unpacked into")
    places = ", ".join(
        f"{place}/ ({'there' if (source / place).is_dir() else 'missing'})" for place in looked_for
    )
    archives = [n for n, _ in files_in(source, "") if n.lower().endswith(_ARCHIVES)]
    packed = f"; {', '.join(sorted(archives)[:3])} must be unpacked first" if archives else ""
    return UserError(f"{source}: not {title}: looked for {places}{packed}; {remedy}")
