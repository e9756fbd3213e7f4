"""What a line of a list means, among the pictures that there are.

It may be a stem, a file or a path, with the folders of this source or fewer, with forward or
backward slashes; a second column may name the mask. A line that names a file as a whole is that
file, blanks included.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from afdcd.data.catalog.splits import Split
from afdcd.data.own.found import Item
from afdcd.data.own.tree import nfc

_PICTURE_ENDING = re.compile(r"\.(png|jpe?g|bmp|tiff?|webp|gif)$", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*[\t,;]\s*|\s+")


@dataclass(frozen=True)
class Names:
    """Every way to name a picture: the ends of its path, of its mask's and of its key.

    Attributes:
        root: name of the source folder, with which lists may begin that lie beside it.
    """

    root: str = ""
    whole: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    ends: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    splits: dict[str, Split | None] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Iterable[Item], root: str) -> "Names":
        names = cls(nfc(root))
        for item in items:
            names.splits[item.key] = item.split
            for path in {item.key, *_stems(item.image), *_stems(item.label)}:
                names.whole[path].add(item.key)
                parts = path.split("/")
                for start in range(1, len(parts)):
                    names.ends["/".join(parts[start:])].add(item.key)
        return names

    def meant(self, line: str, split: Split | None, folder: str) -> tuple[str | None, str]:
        """The key that a line means, or what is wrong with it; neither for comments."""
        keys = self._keys(line, split, folder) if line else set()
        if not keys:
            keys = self._columns(line, split, folder)
        if len(keys) == 1:
            return min(keys), ""
        if not keys:
            remedy = "correct the line, or remove it"
            silent = not line or line.startswith("#")
            return None, "" if silent else f"{line!r} names no picture: {remedy}"
        named = " and ".join(sorted(keys)[:3])
        return None, f"{line!r} may be {named}: write its folder, too, and one picture a line"

    def _columns(self, line: str, split: Split | None, folder: str) -> set[str]:
        """Of a line `picture mask`: the keys that its columns name, more than one if they differ."""
        best: set[str] = set()
        for gap in _SEPARATOR.finditer(line):
            left, right = line[: gap.start()], line[gap.end() :]
            keys = self._keys(left, split, folder)
            if not keys:
                continue
            others = self._keys(right, split, folder)
            if keys & others:
                return keys & others
            fields = (self._keys(part, split, folder) for part in _SEPARATOR.split(right))
            best = best or keys.union(others, *fields)
        return best

    def _keys(self, text: str, split: Split | None, folder: str) -> set[str]:
        path = _normal(text, folder)
        bare = _PICTURE_ENDING.sub("", path)
        for name in dict.fromkeys((path, bare, bare.removeprefix(f"{self.root}/"))):
            for known in (self.whole, self.ends):
                if keys := known.get(name):
                    of_split = {key for key in keys if self.splits[key] == split}
                    return of_split if len(keys) > 1 and of_split else keys
        return set()


def _normal(text: str, folder: str) -> str:
    """A path below the source; `..` counts from the list's folder. Empty where it leads out."""
    path = nfc(text.strip("\"' ").replace("\\", "/")).lstrip("/")
    parts: list[str] = []
    for part in PurePosixPath(folder, path).parts if ".." in path.split("/") else path.split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _stems(place: object) -> list[str]:
    return [nfc(str(PurePosixPath(place).with_suffix("")))] if isinstance(place, str) else []
