"""COCO instance JSON: `images`, `annotations` with outlines, `categories`.

The raw value of a class is its category id; ids have gaps and stand in any order, so classes are
sorted by them. What no annotation covers is `background`: the first class, or the category of that
name. https://cocodataset.org/#format-data
"""

import json
from dataclasses import dataclass, field
from typing import Any

from afdcd.config import UserError
from afdcd.data.own.drawings.coco import CocoAreas
from afdcd.data.own.entries import (
    LONGEST,
    Entry,
    NotTakenError,
    Refusals,
    items_of,
    nothing_left,
    unlisted,
)
from afdcd.data.own.forms.coco_areas import read_areas
from afdcd.data.own.forms.coco_categories import Categories
from afdcd.data.own.forms.coco_images import Pictures, listed_images, split_of_json
from afdcd.data.own.found import Found, Hints, Said
from afdcd.data.own.split_names import split_of
from afdcd.data.own.tree import LARGEST_JSON, Tree
from afdcd.data.places import Written
from afdcd.text import printable

_KEYS = ("images", "annotations", "categories")


def find_coco(tree: Tree, hints: Hints) -> Found | None:
    files = [file for file in tree.files if _marked(tree, file)]
    reading = _Reading(tree)
    panoptic = [file for file in files if not reading.read(file)]
    if len(panoptic) == len(files):
        if panoptic and reading.panoptic:
            raise UserError(f"{tree.root / panoptic[0]}: {_PANOPTIC}")
        return None
    items = items_of(reading.entries, reading.refusals)
    if not items:
        remedy = "mend the entries, or put the pictures where file_name says"
        raise nothing_left(tree, "picture of a COCO JSON", reading.refusals, remedy)
    if not reading.drawn and reading.left_out:
        raise UserError(
            f"{tree.root / files[0]}: {reading.left_out} annotations, none with an outline: a set "
            "of boxes cannot train a segmentation; export polygons or masks"
        )
    names, remarks = reading.categories.names()
    return Found(
        form="COCO JSON",
        items=items,
        said=Said(names=names, source=", ".join(file for file in files if file not in panoptic)),
        encoding=CocoAreas,
        refused=reading.refusals.lines,
        remarks=remarks,
        unlisted=unlisted(tree, (item.image for item in items if isinstance(item.image, str))),
    )


_PANOPTIC = (
    "panoptic COCO (segments_info): its areas are in PNG files of segment ids; export instances "
    "(annotations with polygons or RLE), or convert it with panopticapi's "
    "panoptic2detection_coco_format.py"
)


def _marked(tree: Tree, file: str) -> bool:
    """Whether a JSON may be COCO's, without parsing it: labelme leaves thousands of others."""
    if not file.lower().endswith(".json"):
        return False
    try:
        with (tree.root / file).open("rb") as stream:
            head = stream.read(4096)
            if b'"shapes"' in head or b'"imageData"' in head:
                return False
            if (tree.root / file).stat().st_size > LARGEST_JSON:
                return any(f'"{key}"'.encode() in head for key in ("info", *_KEYS))
            text = head + stream.read()
    except OSError:
        return False  # whoever needs it will say so
    held = sum(f'"{key}"'.encode() in text for key in _KEYS)
    # One that was cut off is named when it is read; its pictures would be missed otherwise.
    return held == len(_KEYS) or (held == 2 and not text.rstrip().endswith((b"}", b"]")))


@dataclass
class _Reading:
    """What was read so far; each file is let go before the next, for they take gigabytes."""

    tree: Tree
    entries: list[Entry] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    panoptic: bool = False
    drawn: int = 0
    left_out: int = 0
    categories: Categories = field(default_factory=Categories)

    def __post_init__(self) -> None:
        self._pictures = Pictures(self.tree)

    def read(self, file: str) -> bool:
        """Whether it is COCO's instance JSON."""
        content = self.tree.json(file)
        if not isinstance(content, dict) or not all(
            isinstance(content.get(key), list) for key in _KEYS
        ):
            return False
        if any(isinstance(a, dict) and "segments_info" in a for a in content["annotations"][:1]):
            self.panoptic = True
            self.refusals.add(file, "", _PANOPTIC)
            return False
        known = self.categories.read(str(self.tree.root / file), content["categories"])
        images = listed_images(file, content["images"], self.refusals)
        areas = read_areas(file, content["annotations"], known, images, self.refusals)
        self.categories.used |= areas.used
        self.drawn += sum(map(len, areas.of_image.values()))
        self.left_out += areas.left_out
        for number, image in images.items():
            if number not in areas.spoilt:
                self._add(file, number, image, areas.of_image.get(number, []))
        return True

    def _add(self, file: str, number: int | str, image: dict[str, Any], areas: list[Any]) -> None:
        name = image["file_name"]
        origin = f"{file}: {printable(f'image {number} ({name})', LONGEST)}"
        split = split_of_json(file)
        try:
            path = self._pictures.find(name, file, split)
        except NotTakenError as reason:
            self.refusals.add(file, f"image {number} ({name})", str(reason))
            return
        label = {"width": image.get("width"), "height": image.get("height"), "areas": areas}
        data = json.dumps(label, separators=(",", ":")).encode()
        written = Written(origin, data)
        self.entries.append(Entry(path, path, written, split or split_of(path), origin))
