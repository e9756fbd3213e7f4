"""Drawing outlines, runs and masks on a label map, by the rule of pixel centres.

Pixel (row r, column c) is painted where its centre (x, y) = (c + 0.5, r + 0.5) lies inside the
outline, even-odd; x and y count pixels from the left upper corner of the picture. Of a centre on
the outline itself, left and upper edges are inside, right and lower ones are not, so areas that
share an edge neither overlap nor leave a gap. This is what COCO's scores use
(cocodataset/cocoapi@8c9bcc3 `common/maskApi.c`, rleFrPoly, which rounds corners to a fifth of a
pixel first): painted and true area agree on average, while cv2.fillPoly and PIL paint the border,
too, and so grow every object by half a pixel.

A file may ask for more than a machine has. So work is counted before it is done, and an image that
needs too much is refused with its number.
"""

import base64
import binascii
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from afdcd.data.images import PictureError, decode

# Start and stop of painted pixels, counted row by row through the whole map.
Runs: TypeAlias = Int64[np.ndarray, "runs 2"]
Points: TypeAlias = Float64[np.ndarray, "points 2"]
Mask: TypeAlias = Bool[np.ndarray, "h w"]

MOST_SHAPES = 100_000
"""Areas in one image; COCO's fullest image has fewer than 100, an aerial one some thousands."""

MOST_RUNS = 10_000_000
"""Runs of pixels in one image, a second of work; the counts of RLE are such, too."""

MOST_PIXELS = 10_000_000_000
"""Painted pixels of one image, counted once for each area above another."""

FARTHEST = 1e9
"""Coordinates beyond it are as wrong as those that are no numbers."""


class Canvas:
    """A label map to paint on: what comes later lies over what was there.

    Attributes:
        ids: the map so far.
    """

    def __init__(self, height: int, width: int, value: int) -> None:
        self.ids: UInt8[np.ndarray, "H W"] = np.full((height, width), value, dtype=np.uint8)
        self._runs = 0
        self._pixels = 0

    def polygon(self, points: Points) -> Runs:
        """The pixels inside an outline; parts beyond the picture are cut off."""
        height, width = self.ids.shape
        runs = polygon_runs(points, height, width, before=self._runs)
        self._spend(len(runs), 0)
        return runs

    def rectangle(
        self, corner: Float64[np.ndarray, " 2"], other: Float64[np.ndarray, " 2"]
    ) -> Runs:
        (x0, y0), (x1, y1) = corner, other
        return self.polygon(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))

    def circle(self, centre: Float64[np.ndarray, " 2"], radius: float) -> Runs:
        runs = circle_runs(centre, radius, *self.ids.shape)
        self._spend(len(runs), 0)
        return runs

    def paint(self, runs: Runs, value: int) -> None:
        """Raises PictureError: too much work with what was painted before."""
        self._spend(0, int((runs[:, 1] - runs[:, 0]).sum()))
        flat = self.ids.reshape(-1)
        for start, stop in runs.tolist():  # faster than masks as soon as areas are some pixels wide
            flat[start:stop] = value

    def rle(self, counts: Int64[np.ndarray, " n"], value: int) -> None:
        """Paint column by column: `counts` are lengths of runs, of which the first is unpainted.

        Raises:
            PictureError: a negative count, another sum than the map has pixels, too much work.
        """
        self._spend(len(counts), 0)
        mask, left = rle_mask(counts, *self.ids.shape)
        self.mask(mask, 0, left, value)

    def mask(self, mask: Mask, top: int, left: int, value: int) -> None:
        """Paint where `mask` holds, its corner at (`top`, `left`); what is beyond is cut off."""
        height, width = self.ids.shape
        rows = slice(max(0, top), max(0, min(height, top + mask.shape[0])))
        columns = slice(max(0, left), max(0, min(width, left + mask.shape[1])))
        part = self.ids[rows, columns]
        y, x = max(0, -top), max(0, -left)
        self._spend(0, 2 * mask.size)  # decoded first, then painted
        np.copyto(part, np.uint8(value), where=mask[y : y + part.shape[0], x : x + part.shape[1]])

    def _spend(self, runs: int, pixels: int) -> None:
        self._runs += runs
        self._pixels += pixels
        _within(self._runs, MOST_RUNS, "runs of pixels")
        _within(self._pixels, MOST_PIXELS, "pixels to paint")


def polygon_runs(points: Points, height: int, width: int, before: int = 0) -> Runs:
    """Every row's crossings with the outline, sorted, and taken two by two.

    Raises:
        PictureError: with `before` they are more runs than one image may have.
    """
    # Each edge from top to bottom, so that two areas cross their common edge at the same place.
    a, b = points, np.roll(points, -1, axis=0)
    falls = a[:, 1] <= b[:, 1]
    (x0, y0), (x1, y1) = np.where(falls, a.T, b.T), np.where(falls, b.T, a.T)
    first, stop = (np.ceil(y - 0.5).clip(0, height).astype(np.int64) for y in (y0, y1))
    crossed = stop - first
    total = int(crossed.sum())
    _within(before + total // 2, MOST_RUNS, "runs of pixels")
    edge = np.repeat(np.arange(len(a)), crossed)
    row = np.arange(total) + np.repeat(first - (np.cumsum(crossed) - crossed), crossed)
    slope = np.divide(x1 - x0, y1 - y0, out=np.zeros(len(a)), where=crossed > 0)
    x = x0[edge] + (row + 0.5 - y0[edge]) * slope[edge]
    column = np.ceil(x - 0.5).clip(0, width).astype(np.int64)
    # One number for both keeps the sort simple; a column may be `width`, hence the wider rows.
    places = np.sort(row * (width + 1) + column)
    places -= places // (width + 1)
    return _filled(places[0::2], places[1::2])


def circle_runs(centre: Float64[np.ndarray, " 2"], radius: float, height: int, width: int) -> Runs:
    """Pixels whose centres are at most `radius` away."""
    x, y = centre
    first, stop = (int(np.clip(np.ceil(end - 0.5), 0, height)) for end in (y - radius, y + radius))
    row = np.arange(first, stop)
    half = np.sqrt(np.maximum(0.0, radius**2 - (row + 0.5 - y) ** 2))
    start, end = (np.ceil(x + side - 0.5).clip(0, width).astype(np.int64) for side in (-half, half))
    return _filled(row * width + start, row * width + end)


def rle_mask(counts: Int64[np.ndarray, " n"], height: int, width: int) -> tuple[Mask, int]:
    """The columns that hold painted pixels, and the number of the first.

    Raises:
        PictureError: a negative count, or another sum than the map has pixels.
    """
    if len(counts) and (counts.min() < 0 or counts.max() > height * width):
        raise PictureError("RLE with impossible counts: export it again")
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    if total != height * width:
        raise PictureError(
            f"RLE of {total} pixels, its image has {width}x{height} = {height * width}: "
            "use labels and images of one edition"
        )
    starts, stops = ends[0::2][: len(ends) // 2], ends[1::2]
    painted = np.flatnonzero(stops > starts)
    if not len(painted):
        return np.zeros((height, 0), dtype=bool), 0
    left, right = int(starts[painted[0]]) // height, -(-int(stops[painted[-1]]) // height)
    inner = np.diff(ends.clip(left * height, right * height), prepend=left * height)
    runs = np.repeat(np.arange(len(counts)) % 2 == 1, inner)
    return runs.reshape(right - left, height).T, left


def rle_counts(text: str) -> Int64[np.ndarray, " n"]:
    """COCO's compressed counts: groups of 5 bits, lowest first, 32 added where another follows.

    From the fourth on, a count is written as the difference to the last but one
    (cocodataset/cocoapi@8c9bcc3 `common/maskApi.c`, rleFrString).

    Raises:
        PictureError: other characters, or it breaks off.
    """
    _within(len(text), 2 * MOST_RUNS, "characters of RLE")
    codes = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8).astype(np.int64) - 48
    if not len(codes):
        return codes
    last = codes & 32 == 0
    if codes.min() < 0 or codes.max() > 63 or not last[-1]:
        raise PictureError("no compressed RLE of COCO: export it again")
    stops = np.flatnonzero(last) + 1
    starts = np.concatenate([[0], stops[:-1]])
    if (stops - starts).max() > 7:
        raise PictureError("RLE with impossible counts: export it again")
    place = np.arange(len(codes)) - np.repeat(starts, stops - starts)
    counts = np.add.reduceat((codes & 31) << 5 * place, starts)
    counts -= np.where(codes[stops - 1] & 16, 1 << 5 * (stops - starts), 0)
    for chain in (counts[1::2], counts[2::2]):
        np.cumsum(chain, out=chain)
    return counts


def encoded_mask(text: str) -> Mask:
    """A picture in base64: painted where it is not 0.

    Raises:
        PictureError: no base64, no picture, or not one number per pixel.
    """
    image = decode(from_base64(text))
    pixels = np.asarray(image)
    if pixels.ndim != 2:
        raise PictureError(f"{image.mode} mask, one number per pixel expected: export it again")
    return pixels != 0


def from_base64(text: str) -> bytes:
    """Raises PictureError: no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PictureError("no base64: export it again") from None


def _filled(starts: Int64[np.ndarray, " n"], stops: Int64[np.ndarray, " n"]) -> Runs:
    runs = np.stack([starts, stops], axis=1)
    return runs[runs[:, 0] < runs[:, 1]]


def _within(count: int, most: int, what: str) -> None:
    if count > most:
        raise PictureError(f"{count:,} {what}, at most {most:,} are drawn: simplify its outlines")
