"""YOLO's polygons: a line for each, `class x1 y1 x2 y2 ...`, as shares of the picture's sides."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from afdcd.data.catalog.labels import Drawing, TrainIds, View
from afdcd.data.images import PictureError
from afdcd.data.own.drawings.label import few_enough, outline_of, train_id, within
from afdcd.data.own.found import UNCOVERED, Raw
from afdcd.data.own.raster import Canvas, Points

_BOX = 5
# A little over the edge is drawn and cut off; pixels instead of shares lie far beyond.
_FARTHEST_SHARE = 2.0


@dataclass(frozen=True)
class YoloAreas(Drawing):
    """Smaller areas lie over larger ones, as Ultralytics draws them; equal ones in file order.

    Ultralytics 8.4 `data/utils.py`, polygons2masks_overlap: areas in pixels.

    Attributes:
        table: index of the class -> train id.
    """

    table: Mapping[Raw, int]
    name: str = "YOLO polygons, smaller over larger"

    def draw(self, data: bytes, view: View) -> TrainIds:
        outlines, _ = outlines_of(data)
        canvas = Canvas(view.height, view.width, train_id(self.table, UNCOVERED))
        scale = np.array([view.width, view.height])
        areas = [(canvas.polygon(points * scale), index) for index, points in outlines]
        areas.sort(key=lambda area: -int((area[0][:, 1] - area[0][:, 0]).sum()))
        for runs, index in areas:
            canvas.paint(runs, train_id(self.table, index))
        return canvas.ids


def outlines_of(data: bytes) -> tuple[list[tuple[int, Points]], list[tuple[int, str]]]:
    """(class, corners) of each line, and (number, reason) of lines that enclose nothing.

    Raises:
        PictureError: the file cannot be taken: boxes, pixels instead of shares, no text.
    """
    within(data)
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise PictureError("no text: export it again") from None
    few_enough(len(lines))
    good, faults = [], []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        index = _index(fields[0])
        if len(fields) == _BOX:
            raise PictureError(
                "boxes (5 numbers a line), no outlines: a set for detection; export segmentation"
            )
        try:
            good.append((index, _outline(fields[1:])))
        except ValueError as fault:
            faults.append((number, str(fault)))
    return good, faults


def _index(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value.is_integer() or value < 0:
        raise PictureError(f"a line begins with {text[:20]!r}, no class index: export it again")
    return int(value)


def _outline(fields: list[str]) -> Points:
    try:
        shares = [float(field) for field in fields]
    except ValueError:
        raise ValueError("coordinates that are no numbers") from None
    points = outline_of(shares)
    if np.abs(points).max() > _FARTHEST_SHARE:
        raise PictureError(
            "coordinates beyond 1: pixels? divide x by the width and y by the height"
        )
    return points
