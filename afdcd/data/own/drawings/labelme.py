"""labelme's shapes: polygons, rectangles, circles and masks, in the order of the file.

Corners of a rectangle are pixels that belong to it, as those of a mask's box do and as
wkentaro/labelme 6.3 `labelme/utils/shape.py`, shapes_to_label, paints it. Polygons and circles
follow `raster`, half a pixel inside the border that labelme paints, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from afdcd.data.catalog.labels import Drawing, TrainIds, View
from afdcd.data.images import PictureError
from afdcd.data.own.drawings.label import few_enough, other_size, parsed, points_of, train_id
from afdcd.data.own.entries import class_name
from afdcd.data.own.found import UNCOVERED, Raw
from afdcd.data.own.raster import Canvas, Points, encoded_mask

THIN = ("line", "linestrip", "point", "points")
"""Shapes without an area: labelme paints lines ten pixels wide and points of radius five."""

# How many points each kind has; None is three and more.
_POINTS = {
    "polygon": None,
    "oriented_rectangle": None,
    "rectangle": 2,
    "circle": 2,
    "mask": 2,
}


@dataclass(frozen=True)
class Shape:
    label: str
    kind: str
    points: Points
    mask: str = ""


@dataclass(frozen=True)
class LabelmeShapes(Drawing):
    """Later shapes lie over earlier ones; what no shape covers is background.

    labelme turns a picture by its EXIF tag when it opens it, so its points are those of the turned
    view. That is seen by the size that it wrote, and undone, where the tag swaps the sides; a tag of
    2 to 4 cannot be seen.

    Attributes:
        table: label -> train id.
    """

    table: Mapping[Raw, int]
    name: str = "labelme shapes, later over earlier"

    def draw(self, data: bytes, view: View) -> TrainIds:
        content = parsed(data)
        shapes, _ = shapes_of(content)
        turned = _turned(content, view)
        height, width = (view.width, view.height) if turned else (view.height, view.width)
        canvas = Canvas(height, width, train_id(self.table, UNCOVERED))
        for shape in shapes:
            _paint(canvas, shape, train_id(self.table, shape.label))
        return _turned_back(canvas.ids, view.turn) if turned else canvas.ids


def shapes_of(content: Any) -> tuple[list[Shape], list[tuple[str, str]]]:
    """The shapes that have an area, and (which, why) of those that are left out.

    Raises:
        PictureError: no labelme file, or a shape without a label, whose class nobody knows.
    """
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list):
        raise PictureError("no list of shapes, so not labelme's: export it again")
    few_enough(len(shapes))
    good, faults = [], []
    for place, shape in enumerate(shapes):
        try:
            label = class_name(shape["label"])
        except (TypeError, KeyError, ValueError):
            raise PictureError(f"shapes[{place}] has no label: give it one") from None
        try:
            good.append(_shape(label, shape))
        except ValueError as fault:
            faults.append((f"shapes[{place}] ({label})", str(fault)))
    return good, faults


def _shape(label: str, shape: dict[str, Any]) -> Shape:
    kind = shape.get("shape_type") or "polygon"  # early versions knew polygons only
    if kind in THIN if isinstance(kind, str) else False:
        raise ValueError(f"a {kind} has no area")
    if kind not in _POINTS if isinstance(kind, str) else True:
        raise ValueError(f"a shape of unknown type {kind!r:.40}")
    points, mask = points_of(shape.get("points")), shape.get("mask")
    wanted = _POINTS[kind]
    if kind == "rectangle" and len(points) == 4:
        kind, wanted = "polygon", None
    if len(points) < 3 if wanted is None else len(points) != wanted:
        raise ValueError(f"a {kind} of {len(points)} points")
    if kind != "mask":
        return Shape(label, kind, points)
    if not isinstance(mask, str):
        raise ValueError("a mask without its picture")
    return Shape(label, kind, points, mask)


def _paint(canvas: Canvas, shape: Shape, value: int) -> None:
    first, second = shape.points[:2]
    if shape.kind == "rectangle":
        low, high = np.floor(np.sort(shape.points, axis=0))
        canvas.paint(canvas.rectangle(low, high + 1), value)
    elif shape.kind == "circle":  # centre, and a point on its edge
        radius = float(np.hypot(*(second - first)))
        canvas.paint(canvas.circle(first, radius), value)
    elif shape.kind == "mask":
        _paint_mask(canvas, shape, value)
    else:
        canvas.paint(canvas.polygon(shape.points), value)


def _paint_mask(canvas: Canvas, shape: Shape, value: int) -> None:
    """The box of a mask has inclusive corners."""
    (left, top), (right, bottom) = shape.points.astype(np.int64).tolist()
    try:
        mask = encoded_mask(shape.mask)
    except PictureError as reason:
        raise PictureError(f"the mask of {shape.label!r} cannot be read: {reason}") from None
    if mask.shape != (bottom - top + 1, right - left + 1):
        raise PictureError(
            f"a mask of {mask.shape[1]}x{mask.shape[0]} pixels in a box of "
            f"{right - left + 1}x{bottom - top + 1}: export it again"
        )
    canvas.mask(mask, top, left, value)


def _turned(content: dict[str, Any], view: View) -> bool:
    """Whether points are those of the view that EXIF turns.

    Raises:
        PictureError: annotated at another size.
    """
    width, height = content.get("imageWidth"), content.get("imageHeight")
    if (width, height) in ((view.width, view.height), (None, None)):
        return False
    if view.turn >= 5 and (width, height) == (view.height, view.width):
        return True
    raise other_size(width, height, view)


def _turned_back(ids: UInt8[np.ndarray, "W H"], turn: int) -> UInt8[np.ndarray, "H W"]:
    """From a viewer's rows and columns to the stored ones: EXIF orientation 5 to 8."""
    stored = {
        5: ids.T,
        6: np.rot90(ids),
        7: np.rot90(ids, 2).T,
        8: np.rot90(ids, -1),
    }[turn]
    return np.ascontiguousarray(stored)
