"""What labels that are drawn have in common: reading them, their size, the table of classes."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from afdcd.data.catalog.labels import View
from afdcd.data.images import PictureError
from afdcd.data.own.found import Raw
from afdcd.data.own.raster import FARTHEST, MOST_SHAPES, Points
from afdcd.text import byte_count, first_line

_LARGEST = 64 * 2**20


def parsed(data: bytes) -> Any:
    """One picture's annotations as JSON.

    Raises:
        PictureError: more than 64 MiB, or no JSON.
    """
    within(data)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PictureError(f"no JSON ({first_line(error)}): export it again") from None


def within(data: bytes) -> None:
    """Raises PictureError: more than 64 MiB."""
    if len(data) > _LARGEST:
        raise PictureError(
            f"{byte_count(len(data))} of annotations for one picture, at most "
            f"{byte_count(_LARGEST)} are read: simplify its outlines"
        )


def few_enough(shapes: int) -> None:
    """Raises PictureError: more areas than are drawn in one image."""
    if shapes > MOST_SHAPES:
        raise PictureError(
            f"{shapes:,} areas in one picture, at most {MOST_SHAPES:,} are drawn: cut it into tiles"
        )


def train_id(table: Mapping[Raw, int], raw: Raw) -> int:
    """Raises PictureError: a class that the table lacks."""
    if raw not in table:
        raise PictureError(f"an area of {raw!r}, which is no class: add it to the classes")
    return table[raw]


def other_size(width: object, height: object, view: View) -> PictureError:
    """The size that annotations were made for is not the picture's."""
    turned = view.turn >= 5 and (width, height) == (view.height, view.width)
    why = (
        f" stored with EXIF orientation {view.turn}: turn its pixels for good (exiftran -ai), for "
        "EXIF is never applied"
        if turned
        else ": use labels and images of one edition"
    )
    return PictureError(
        f"annotated at {width}x{height} pixels, its image has {view.width}x{view.height}{why}"
    )


def points_of(value: object) -> Points:
    """Corners of an outline, from a flat list of x and y or a list of pairs.

    Raises:
        ValueError: why it encloses nothing, or is no list of numbers.
    """
    try:
        numbers = np.asarray(value if isinstance(value, list) else None)
    except (ValueError, OverflowError, RecursionError):  # of lists of different lengths
        raise ValueError("coordinates that are no numbers") from None
    pairs = numbers.ndim == 2 and numbers.shape[1] == 2
    if numbers.dtype.kind not in "iuf" or not (numbers.ndim == 1 or pairs):
        raise ValueError("coordinates that are no numbers")
    if numbers.size % 2:
        raise ValueError("an odd number of coordinates")
    points = numbers.astype(np.float64).reshape(-1, 2)
    if not (np.abs(points) <= FARTHEST).all():  # false for what is not a number, too
        raise ValueError("coordinates that are infinite or no numbers")
    return points


def outline_of(value: object) -> Points:
    """Raises ValueError: no coordinates, or fewer than three points."""
    points = points_of(value)
    if len(points) < 3:
        raise ValueError("fewer than 3 points")
    return points
