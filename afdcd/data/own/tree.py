"""The files of a source folder, listed once; reading those that describe it, within bounds."""

import json
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from afdcd.config import Source, UserError
from afdcd.data.formats import is_left_out
from afdcd.text import byte_count, decoded, first_line
from afdcd.yaml_text import parse_yaml

_ARCHIVES = {
    ".zip": "unzip",
    ".tar": "tar -xf",
    ".gz": "tar -xzf",
    ".tgz": "tar -xzf",
    ".bz2": "tar -xjf",
    ".xz": "tar -xJf",
    ".7z": "7z x",
    ".rar": "unrar x",
}
_VOLUMES = (".nii.gz",)  # packed, and no archive
_LARGEST_TEXT = 64 * 2**20
LARGEST_JSON = 512 * 2**20
"""Bytes of a JSON file that is read: COCO's largest has 448 MB, and takes ten times as much memory."""


@dataclass(frozen=True)
class Tree:
    """Attributes:
    root: the source folder.
    files: paths below it with forward slashes, sorted; hidden files and those that a desktop leaves
        behind are left out.
    leaving: links that lead out of it, which are not followed.
    """

    root: Path
    files: tuple[str, ...]
    leaving: tuple[str, ...] = ()

    @classmethod
    def of(cls, root: Path) -> "Tree":
        """Raises UserError: no folder, an archive, or it cannot be listed."""
        if not root.is_dir():
            raise UserError(f"{root}: {_no_folder(root)}")
        real = root.resolve()
        files: list[str] = []
        leaving: list[str] = []
        for path, inside in _walk(root, "", (real,)):
            (files if inside else leaving).append(path)
        return cls(root, tuple(sorted(files)), tuple(sorted(leaving)))

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds files, at any depth, and "" for the root."""
        found = {str(parent) for file in self.files for parent in PurePosixPath(file).parents}
        return frozenset("" if folder == "." else folder for folder in found)

    def below(self, folder: str) -> list[str]:
        """The files in `folder` at any depth, as paths below the root."""
        prefix = f"{folder}/" if folder else ""
        return [file for file in self.files if file.startswith(prefix)]

    def named(self, *names: str) -> list[str]:
        """Files with one of the names in any case, those nearest to the root first."""
        wanted = {name.lower() for name in names}
        found = [file for file in self.files if PurePosixPath(file).name.lower() in wanted]
        return sorted(found, key=lambda file: (file.count("/"), file))

    def find(self, path: str, base: str = "") -> str | None:
        """The file that `path`, as somebody wrote it in a file of folder `base`, means.

        Backslashes, `./`, a leading `/` and another form of Unicode are seen through. None where
        there is no such file.

        Raises:
            UserError: it leads out of the source.
        """
        for start in dict.fromkeys((base, "")):
            place = _joined(start, path)
            if place in self._by_nfc:
                return self._by_nfc[place]
        return None

    def leads_out(self, path: str) -> bool:
        """Whether `path` is, or lies behind, a link out of the source."""
        return any(path == link or path.startswith(f"{link}/") for link in self.leaving)

    @cached_property
    def _by_nfc(self) -> dict[str, str]:
        return {nfc(file): file for file in self.files}

    def text(self, file: str) -> str:
        """A text file: UTF-8 with or without a mark, or UTF-16 with one.

        Raises:
            UserError: larger than 64 MiB, or no text.
        """
        data = self._bytes(file, _LARGEST_TEXT)
        try:
            return decoded(data)
        except UnicodeDecodeError as error:
            remedy = f"iconv -f latin1 -t utf-8 {file}"
            reason = f"no UTF-8 (byte {error.start})"
            raise UserError(
                f"{self.root / file}: {reason}; save it as UTF-8, e.g. `{remedy}`"
            ) from None

    def lines(self, file: str) -> list[str]:
        """The lines of a text file that are not blank, without the blanks around them."""
        return [line.strip() for line in self.text(file).splitlines() if line.strip()]

    def json(self, file: str) -> Any:
        """Raises UserError: larger than `LARGEST_JSON`, or no JSON."""
        data = self._bytes(file, LARGEST_JSON)
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            reason = first_line(error)
            raise UserError(f"{self.root / file}: no JSON ({reason}); export it again") from None

    def yaml(self, file: str) -> tuple[dict[str, Any], Source]:
        """Raises UserError: no YAML mapping, with its line."""
        return parse_yaml(self.text(file), str(self.root / file))

    def _bytes(self, file: str, largest: int) -> bytes:
        path = self.root / file
        try:
            size = path.stat().st_size
            if size > largest:
                raise UserError(
                    f"{path}: {byte_count(size)}, at most {byte_count(largest)} are read; "
                    "split it, e.g. one file for each split"
                )
            return path.read_bytes()
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
            raise UserError(f"{path}: {reason}; check its permissions") from None


def nfc(text: str) -> str:
    """Unicode as most systems write it: a Mac stores `ü` as `u` and two dots."""
    return unicodedata.normalize("NFC", text)


def _joined(base: str, path: str) -> str:
    """`path` below the folder `base`, without `.` and `..`."""
    parts = [*PurePosixPath(base).parts]
    for part in PurePosixPath(nfc(path.strip().replace("\\", "/")).lstrip("/")).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise UserError(f"{path}: leads out of the source folder; put the file inside it")
    return "/".join(parts)


def _walk(root: Path, folder: str, way: tuple[Path, ...]) -> Iterator[tuple[str, bool]]:
    """Files below `folder`, and whether they are inside the source; links that leave it as files.

    Args:
        way: the real folders from the source down to here, of which no link may lead to one.
    """
    try:
        entries = list(os.scandir(root / folder))
    except OSError as error:
        raise UserError(f"{root / folder}: cannot be listed ({error.strerror})") from None
    for entry in entries:
        if is_left_out(entry.name):
            continue
        path = f"{folder}/{entry.name}" if folder else entry.name
        target = Path(entry.path).resolve() if entry.is_symlink() else way[-1] / entry.name
        if not target.is_relative_to(way[0]):
            yield path, False
        elif not entry.is_dir():
            yield path, True
        elif target not in way:
            yield from _walk(root, path, (*way, target))


def unpacking(file: str) -> str | None:
    """The command that unpacks `file`; None where it is no archive."""
    if file.lower().endswith(_VOLUMES):
        return None
    return _ARCHIVES.get(PurePosixPath(file).suffix.lower())


def _no_folder(path: Path) -> str:
    command = unpacking(path.name)
    if path.is_file() and command:
        return f"an archive; unpack it first (`{command} {path}`) and give the folder"
    if path.is_file():
        return "a file; give the folder that holds the pictures and their labels"
    return "no such folder; give the one that holds the pictures and their labels"
