"""Drawing a picture and its label map together, through a pinhole camera.

Metres: x to the right, y up, z ahead. Pixels: columns and rows of the label map.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from afdcd.data.catalog.train_ids import IGNORE

Number = float | int
Colour = tuple[Number, Number, Number]
Point = tuple[Number, Number, Number]
Pixel = tuple[Number, Number]

_NEAREST = 0.9  # metres ahead of the camera; what is nearer is drawn as if there
_OVERSAMPLING = 2  # the picture is drawn larger and shrunk: smooth edges, mixed border pixels


@dataclass(frozen=True, slots=True)
class Camera:
    """`horizon` is the row that distant ground approaches; `focal` is in pixels."""

    focal: float
    centre: float
    horizon: float
    x: float
    y: float
    z: float

    def depth(self, z: Number) -> Number:
        return max(z - self.z, _NEAREST)

    def pixel(self, point: Point) -> Pixel:
        x, y, z = point
        scale = self.focal / self.depth(z)
        return self.centre + (x - self.x) * scale, self.horizon + (self.y - y) * scale


class Canvas:
    """A picture and a label map; a shape without train id leaves the label as it is."""

    def __init__(
        self, height: int, width: int, camera: Camera, haze: Colour, density: float
    ) -> None:
        self.camera = camera
        self._haze, self._density = haze, density
        size = width * _OVERSAMPLING, height * _OVERSAMPLING
        self._picture = Image.new("RGB", size)
        self._label = Image.new("L", (width, height), IGNORE)
        self._paint = ImageDraw.Draw(self._picture)
        self._mark = ImageDraw.Draw(self._label)

    def image(self) -> UInt8[np.ndarray, "H W 3"]:
        return np.asarray(self._picture.reduce(_OVERSAMPLING))

    def label(self) -> UInt8[np.ndarray, "H W"]:
        return np.array(self._label)

    def halo(self, points: Sequence[Point]) -> None:
        """Ignore the pixels on the outline of a thing that is about to be drawn."""
        pixels = [self.camera.pixel(point) for point in points]
        self._mark.line([*pixels, pixels[0]], fill=IGNORE, width=3)

    def polygon(self, points: Sequence[Point], colour: Colour, train_id: int | None = None) -> None:
        """Paler the farther its nearest point is."""
        pixels = [self.camera.pixel(point) for point in points]
        depth = min(self.camera.depth(point[2]) for point in points)
        self.flat(pixels, self._hazed(colour, depth), train_id)

    def flat(self, pixels: Sequence[Pixel], colour: Colour, train_id: int | None = None) -> None:
        """A polygon given in pixels, without haze."""
        self._paint.polygon(
            [(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in pixels], fill=_bytes(colour)
        )
        if train_id is not None:
            self._mark.polygon([(x - 0.25, y - 0.25) for x, y in pixels], fill=train_id)

    def ellipse(
        self, centre: Point, radius: tuple[Number, Number], colour: Colour, train_id: int | None
    ) -> None:
        """An upright ellipse that faces the camera; `radius` in metres, across and up."""
        u, v = self.camera.pixel(centre)
        depth = self.camera.depth(centre[2])
        a, b = (r * self.camera.focal / depth for r in radius)
        box = (u - a, v - b, u + a, v + b)
        fill = _bytes(self._hazed(colour, depth))
        self._paint.ellipse([side * _OVERSAMPLING for side in box], fill=fill)
        if train_id is not None:
            self._mark.ellipse(box, fill=train_id)

    def upright(
        self,
        x: Number,
        z: Number,
        size: tuple[Number, Number],
        colour: Colour,
        train_id: int | None = None,
        base: Number = 0.0,
    ) -> None:
        """A rectangle that faces the camera: `size` is (width, height), `base` its lower edge."""
        self.polygon(rectangle(x, z, size, base), colour, train_id)

    def _hazed(self, colour: Colour, depth: Number) -> Colour:
        return mix(self._haze, colour, math.exp(-self._density * depth))


def rectangle(x: Number, z: Number, size: tuple[Number, Number], base: Number = 0.0) -> list[Point]:
    half, top = size[0] / 2, base + size[1]
    return [(x - half, base, z), (x + half, base, z), (x + half, top, z), (x - half, top, z)]


def mix(first: Colour, second: Colour, share: Number) -> Colour:
    """`share` of the second colour, the rest of the first."""
    (a, b, c), (d, e, f) = first, second
    return a + (d - a) * share, b + (e - b) * share, c + (f - c) * share


def shade(colour: Colour, factor: Number) -> Colour:
    a, b, c = colour
    return a * factor, b * factor, c * factor


def _bytes(colour: Colour) -> tuple[int, int, int]:
    a, b, c = colour
    return min(255, max(0, int(a))), min(255, max(0, int(b))), min(255, max(0, int(c)))
