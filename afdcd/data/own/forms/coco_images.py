"""The pictures that a COCO JSON lists, and the files that they are."""

import re
from collections import Counter, defaultdict
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from afdcd.data.catalog.splits import Split
from afdcd.data.formats import is_picture
from afdcd.data.own.entries import NotTakenError, Refusals, locate
from afdcd.data.own.split_names import split_named, split_of
from afdcd.data.own.tree import Tree, nfc


def listed_images(
    file: str, images: list[Any], refusals: Refusals
) -> dict[int | str, dict[str, Any]]:
    """Id -> entry, of those that are whole; of an id that two have, neither is taken."""
    good: dict[int | str, dict[str, Any]] = {}
    counts = Counter(id_of(image) for image in images)
    for place, image in enumerate(images):
        number = id_of(image)
        if number is None or not isinstance(image.get("file_name"), str):
            refusals.add(file, f"images[{place}]", "no id and file_name: export it again")
        elif counts[number] > 1:
            refusals.add(file, f"image {number}", "one id for several images: export it again")
        elif not all(_is_size(image.get(side)) for side in ("width", "height")):
            reason = "width and height are no whole numbers: correct them"
            refusals.add(file, f"image {number}", reason)
        else:
            good[number] = image
    return good


class Pictures:
    """The pictures on disk, by their names."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def find(self, name: str, file: str, split: Split | None) -> str:
        """What `file_name` in the JSON `file` means: seen from there, or the only one that ends so.

        A picture in a folder of another split is never meant: its names may begin anew.

        Raises:
            NotTakenError: there is none, or several.
        """
        found = locate(self._tree, name, str(PurePosixPath(file).parent))
        if found:
            return found
        tail = PurePosixPath(nfc(name.strip().replace("\\", "/")))
        candidates = [
            path
            for path in self._by_name.get(tail.name, [])
            if split is None or split_of(path) in (None, split)
        ]
        exact = [path for path in candidates if f"/{nfc(path)}".endswith(f"/{tail}")]
        chosen = exact or candidates
        if not chosen:
            raise NotTakenError("no such picture: fetch it, or take it out of `images`")
        if len(chosen) > 1:
            raise NotTakenError("several pictures of that name: write their folders in file_name")
        return chosen[0]

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for file in filter(is_picture, self._tree.files):
            found[PurePosixPath(nfc(file)).name].append(file)
        return found


def split_of_json(file: str) -> Split | None:
    """What its name says, as `instances_val2017.json` does, else its folders."""
    words = re.split(r"[^A-Za-z]+", PurePosixPath(file).stem)
    return next(filter(None, map(split_named, words)), None) or split_of(file)


def id_of(value: Any, key: str = "id") -> int | str | None:
    """A number or a word; None where `value` has neither."""
    number = value.get(key) if isinstance(value, dict) else None
    return number if type(number) in (int, str) else None


def _is_size(side: object) -> bool:
    return side is None or (type(side) is int and side > 0)
