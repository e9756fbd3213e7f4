"""COCO's segmentations: polygons, RLE as a list of counts, RLE as COCO compresses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from afdcd.data.catalog.labels import Drawing, TrainIds, View
from afdcd.data.images import PictureError
from afdcd.data.own.drawings.label import few_enough, other_size, outline_of, parsed, train_id
from afdcd.data.own.found import UNCOVERED, Raw
from afdcd.data.own.raster import MOST_RUNS, Canvas, rle_counts

_LARGEST_COUNT = 2**40


@dataclass(frozen=True)
class CocoAreas(Drawing):
    """The annotations of one picture, in file order: later ones lie over earlier ones.

    COCO has no rule for overlaps. An area with `iscrowd` is an area of its class like others.

    Attributes:
        table: category id -> train id.
    """

    table: Mapping[Raw, int]
    name: str = "COCO segmentations, later over earlier"

    def draw(self, data: bytes, view: View) -> TrainIds:
        """`data` is `{"width", "height", "areas": [[category, segmentation], ...]}`."""
        label = parsed(data)
        if (label["width"] or view.width, label["height"] or view.height) != (
            view.width,
            view.height,
        ):
            raise other_size(label["width"], label["height"], view)
        few_enough(sum(len(s) if isinstance(s, list) else 1 for _, s in label["areas"]))
        canvas = Canvas(view.height, view.width, train_id(self.table, UNCOVERED))
        for category, segmentation in label["areas"]:
            _paint(canvas, segmentation, train_id(self.table, category))
        return canvas.ids


def _paint(canvas: Canvas, segmentation: Any, value: int) -> None:
    if isinstance(segmentation, list):
        for outline in segmentation:
            canvas.paint(canvas.polygon(outline_of(outline)), value)
        return
    height, width = segmentation["size"]
    if (height, width) != canvas.ids.shape:
        raise PictureError(
            f"RLE of {width}x{height} pixels, its image has {canvas.ids.shape[1]}x"
            f"{canvas.ids.shape[0]}: use labels and images of one edition"
        )
    counts = segmentation["counts"]
    canvas.rle(rle_counts(counts) if isinstance(counts, str) else np.array(counts, np.int64), value)


def drawable(segmentation: object) -> tuple[Any, list[str]]:
    """What of a segmentation can be drawn, None where nothing can, and why the rest cannot."""
    if isinstance(segmentation, dict):
        fault = _rle_fault(segmentation)
        kept = {"size": segmentation.get("size"), "counts": segmentation.get("counts")}
        return (None, [fault]) if fault else (kept, [])
    if not isinstance(segmentation, list) or not segmentation:
        return None, ["no outline"]
    # Some tools leave out the outer list where there is one polygon.
    flat = not isinstance(segmentation[0], list | dict)
    good, faults = [], []
    for outline in [segmentation] if flat else segmentation:
        try:
            outline_of(outline)
            good.append(outline)
        except ValueError as fault:
            faults.append(str(fault))
    return good or None, faults


def _rle_fault(rle: dict[str, Any]) -> str:
    size, counts = rle.get("size"), rle.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)):
        return "RLE without its size; its image is left out"
    if isinstance(counts, str):
        return ""
    if not isinstance(counts, list):
        return "RLE without counts; its image is left out"
    if len(counts) > MOST_RUNS:
        return (
            f"RLE of {len(counts):,} counts, at most {MOST_RUNS:,} are drawn; its image is left out"
        )
    if not all(type(count) is int and 0 <= count < _LARGEST_COUNT for count in counts):
        return "RLE with impossible counts; its image is left out"
    return ""
