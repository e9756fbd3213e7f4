"""labelme: a JSON of `shapes` for each picture, and sometimes `labels.txt`.

The raw value of a class is its label. https://github.com/wkentaro/labelme
"""

import posixpath
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from afdcd.config import UserError
from afdcd.data.images import PictureError
from afdcd.data.own.drawings.labelme import THIN, LabelmeShapes, shapes_of
from afdcd.data.own.entries import (
    Entry,
    NotTakenError,
    Refusals,
    is_background,
    items_of,
    locate,
    nothing_left,
    unlisted,
)
from afdcd.data.own.found import UNCOVERED, Found, Hints, Raw, Said
from afdcd.data.own.raster import from_base64
from afdcd.data.own.split_names import split_of
from afdcd.data.own.tree import LARGEST_JSON, Tree, nfc
from afdcd.data.places import Place, Written
from afdcd.text import byte_count

IGNORED = "__ignore__"
MOST_EMBEDDED = 2**30
"""Bytes of pictures that stand in JSON files; they are kept in memory until they are written."""


def find_labelme(tree: Tree, hints: Hints) -> Found | None:
    files = [file for file in tree.files if _marked(tree, file)]
    if not files:
        return None
    listed = next(iter(tree.named("labels.txt")), None)
    reading = _Reading(tree, _listed_labels(tree, listed) if listed else None)
    for file in files:
        reading.read(file)
    items = items_of(reading.entries, reading.refusals)
    if not items:
        remedy = "mend the files, or put the pictures where imagePath says"
        raise nothing_left(tree, "picture of labelme", reading.refusals, remedy)
    labels = sorted(reading.labels) if reading.listed is None else reading.listed
    return Found(
        form="labelme",
        items=items,
        said=Said(
            names=_names(labels),
            ignored=frozenset({IGNORED}),
            source=listed or "the labels that occur",
        ),
        encoding=LabelmeShapes,
        refused=reading.refusals.lines,
        remarks=reading.thin.merged,
        unlisted=unlisted(tree, (entry.path for entry in reading.entries)),
    )


def _marked(tree: Tree, file: str) -> bool:
    """Whether a file may be labelme's, without parsing it."""
    if not file.lower().endswith(".json"):
        return False
    path = tree.root / file
    try:
        if path.stat().st_size > LARGEST_JSON:
            with path.open("rb") as stream:
                return b'"shapes"' in stream.read(4096)
        text = path.read_bytes()
    except OSError:
        return False  # whoever needs it will say so
    return b'"shapes"' in text and b'"imagePath"' in text


def _listed_labels(tree: Tree, file: str) -> list[str]:
    labels = tree.lines(file)
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise UserError(f"{tree.root / file}: {twice!r} stands twice; keep one")
    return labels


def _names(labels: list[str]) -> dict[Raw, str]:
    """Background first, as labelme numbers it, also where no shape has that label."""
    own = next(filter(is_background, labels), "background")
    rest = [label for label in labels if label not in (own, IGNORED)]
    head: dict[Raw, str] = {UNCOVERED: own}
    return head | {label: label for label in ([own] if own in labels else []) + rest}


@dataclass
class _Reading:
    """Attributes:
    listed: labels of `labels.txt`; None without it.
    labels: those that shapes have.
    thin: shapes without an area, by file.
    """

    tree: Tree
    listed: list[str] | None
    entries: list[Entry] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    refusals: Refusals = field(default_factory=Refusals)
    thin: Refusals = field(default_factory=Refusals)
    _embedded: int = 0

    def read(self, file: str) -> None:
        try:
            content = self.tree.json(file)
            if not isinstance(content, dict) or "imagePath" not in content:
                raise NotTakenError("no labelme file: export it again")
            labels = self._labels(file, content)
            path, image = self._picture(file, content)
        except UserError as error:
            self.refusals.add(file, "", str(error).split(": ", 1)[-1])
        except (NotTakenError, PictureError) as reason:
            self.refusals.add(file, "", str(reason))
        else:
            self.labels |= labels
            self.entries.append(Entry(path, image, file, split_of(path), file))

    def _labels(self, file: str, content: dict[str, Any]) -> set[str]:
        shapes, faults = shapes_of(content)
        for which, why in faults:
            thin = why.removeprefix("a ").split()[0] in THIN
            told = self.thin if thin else self.refusals
            told.add(file, which, f"{why}: {'left out' if thin else 'correct it or take it out'}")
        labels = {shape.label for shape in shapes}
        unknown = sorted(labels - {*(self.listed or labels), IGNORED})
        if unknown:
            raise NotTakenError(f"label {unknown[0]!r} is not in labels.txt: add it there")
        return labels

    def _picture(self, file: str, content: dict[str, Any]) -> tuple[str, Place]:
        """The file that `imagePath` names, seen from the JSON, or the picture inside the JSON."""
        named, inside = content["imagePath"], content.get("imageData")
        if not isinstance(named, str):
            raise NotTakenError("imagePath is no text: write the picture's name")
        folder = str(PurePosixPath(file).parent)
        try:
            path = locate(self.tree, named, folder)
        except NotTakenError as reason:
            raise NotTakenError(f"imagePath {named}: {reason}") from None
        meant = posixpath.normpath(posixpath.join(folder, named.strip().replace("\\", "/")))
        if path is not None and nfc(path) == nfc(meant):  # not one of that name at the root
            return path, path
        if not isinstance(inside, str):
            raise NotTakenError(f"{named}: no such picture: put it there, or correct imagePath")
        data = from_base64(inside)
        self._embedded += len(data)
        if self._embedded > MOST_EMBEDDED:
            raise UserError(
                f"{self.tree.root}: more than {byte_count(MOST_EMBEDDED)} of pictures inside JSON "
                "files; put them beside the files (`labelme_export_json` writes them)"
            )
        return str(PurePosixPath(file).with_suffix(".png")), Written(f"{file}: imageData", data)
