"""How a raw label file says which class a pixel has, and its translation to train ids.

One encoding per edition of a data set; a layout names the one its files are in. All of them are
plain values, so that they travel to other processes.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image

from afdcd.data.catalog.train_ids import IGNORE, RGB
from afdcd.data.images import PictureError, decode

TrainIds: TypeAlias = UInt8[np.ndarray, "H W"]

_UNKNOWN = 254  # in lookup tables only: no data set has that many classes
_NUMBERS = ("L", "P", "1", "I;16", "I;16B", "I")

# A few anti-aliased pixels of CamVid's Seq05VD_f02610 have no class colour; more is another table.
_STRAY_SHARE = 0.01
_BAND = 512  # rows that are looked up at once


class Encoding(Protocol):
    """One edition's way to write labels; `name` is recorded in the manifest."""

    @property
    def name(self) -> str: ...

    def train_ids(self, data: bytes) -> TrainIds:
        """Translate a label file.

        Raises:
            PictureError: the file cannot be read, or is not in this encoding.
        """


@dataclass(frozen=True, slots=True)
class View:
    """What a label that is drawn must know of its picture.

    Attributes:
        turn: EXIF orientation, 1 (none) to 8; 5 and more swap the sides in a viewer.
    """

    height: int
    width: int
    turn: int = 1


class Drawing(ABC):
    """Labels that describe areas in place of pixels; `name` is recorded in the manifest."""

    name: str

    @abstractmethod
    def draw(self, data: bytes, view: View) -> TrainIds:
        """The label map of a picture of `view`'s size.

        Raises:
            PictureError: the label cannot be read, or is of a picture of another size.
        """


@dataclass(frozen=True)
class Numbers:
    """One number per pixel: gray or 16-bit values, or the indices of a palette, never its colours.

    Attributes:
        table: number in the file -> train id; any other number is an error.
        lookalikes: reasons that are named when certain numbers turn up that the table lacks.
    """

    name: str
    table: Mapping[int, int]
    lookalikes: Mapping[int, str] = field(default_factory=dict)

    def train_ids(self, data: bytes) -> TrainIds:
        return self.translate(decode(data))

    def translate(self, label: Image.Image) -> TrainIds:
        if label.mode not in _NUMBERS:
            raise PictureError(
                f"{label.mode} label, one number per pixel expected (mode L or P): "
                "use the edition with class numbers, or map its colours to them"
            )
        values = np.asarray(label)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise PictureError(f"label values {values.min()}..{values.max()}: another encoding?")
        if values.dtype == bool:
            values = values.astype(np.uint8)
        # OpenCV's table is eight times faster than indexing, and labels of 2 Mpx come by thousands.
        small = values.dtype == np.uint8
        ids = cv2.LUT(values, self._lookup[:256]) if small else self._lookup[values]
        if (ids == _UNKNOWN).any():
            raise PictureError(self._unknown(values))
        return np.asarray(ids)

    @cached_property
    def _lookup(self) -> UInt8[np.ndarray, "65536"]:
        lookup = np.full(1 << 16, _UNKNOWN, dtype=np.uint8)
        for value, train in self.table.items():
            lookup[value] = train
        return lookup

    def _unknown(self, values: np.ndarray) -> str:
        counts = np.bincount(values.ravel())
        unknown = [int(v) for v in np.flatnonzero(counts) if v not in self.table]
        listed = ", ".join(f"{value} ({counts[value]} pixels)" for value in unknown[:8])
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        present = frozenset(int(v) for v in np.flatnonzero(counts))
        known = f"{min(self.table)}..{max(self.table)}"
        guess = self.guess(present) or f"another encoding? expected some of {known}"
        return f"label values of no class: {listed}{more}: {guess}"

    def guess(self, present: frozenset[int]) -> str:
        """What a file that holds the values `present`, some of no class, may be instead."""
        known = {
            why for value, why in self.lookalikes.items() if value in present - set(self.table)
        }
        return "; ".join(sorted(known)) or scaled(present, frozenset(self.table))


def scaled(present: frozenset[int], known: frozenset[int]) -> str:
    """Whether the values are those of classes, multiplied so that a person sees them."""
    factor = math.gcd(*present - {255})
    if factor < 2 or not {value // factor for value in present - {255}} <= known:
        return ""
    return (
        f"all are multiples of {factor}, as in a picture for people to look at: divide by {factor}"
    )


@dataclass(frozen=True)
class Colours:
    """One colour per class; what has none of them is ignored as long as it is below 1 %."""

    name: str
    table: Mapping[RGB, int]

    def train_ids(self, data: bytes) -> TrainIds:
        return self.translate(decode(data))

    def translate(self, label: Image.Image) -> TrainIds:
        if label.mode not in ("RGB", "RGBA", "P"):
            raise PictureError(
                f"{label.mode} label, class colours expected: use the edition with coloured labels"
            )
        lookup = _colour_lookup(tuple(self.table.items()))
        ids = np.concatenate([lookup[codes] for codes in colour_bands(label)])
        stray = ids == _UNKNOWN
        if stray.mean() > _STRAY_SHARE:
            raise PictureError(
                f"{stray.mean():.1%} of the pixels have a colour of no class, most of them "
                f"{self._worst(label)}: "
                "another colour table, or the label was resized with interpolation"
            )
        ids[stray] = IGNORE
        return ids

    def _worst(self, label: Image.Image) -> RGB:
        """The most frequent colour of no class."""
        counts: Counter[int] = Counter()
        for codes in colour_bands(label):
            found, often = np.unique(codes, return_counts=True)
            counts.update(dict(zip(found.tolist(), often.tolist(), strict=True)))
        colours = ((colour_of(code), often) for code, often in counts.items())
        strays = [(often, colour) for colour, often in colours if colour not in self.table]
        return min(strays, key=lambda stray: (-stray[0], stray[1]))[1]


def colour_bands(label: Image.Image) -> Iterator[Int32[np.ndarray, "h W"]]:
    """The colours of `label` as one number each, band by band: their codes take four bytes each."""
    for top in range(0, label.height, _BAND):
        band = label.crop((0, top, label.width, min(top + _BAND, label.height)))
        yield _codes(np.asarray(band.convert("RGB")))


def colour_of(code: int) -> RGB:
    return code >> 16, code >> 8 & 255, code & 255


def _codes(pixels: UInt8[np.ndarray, "H W 3"]) -> Int32[np.ndarray, "H W"]:
    codes = pixels[:, :, 0].astype(np.int32)
    for channel in (1, 2):
        codes <<= 8
        codes |= pixels[:, :, channel]
    return codes


@lru_cache(maxsize=2)  # 16 MiB each: kept out of the encoding, which travels between processes
def _colour_lookup(table: tuple[tuple[RGB, int], ...]) -> UInt8[np.ndarray, "16777216"]:
    lookup = np.full(1 << 24, _UNKNOWN, dtype=np.uint8)
    for (red, green, blue), train in table:
        lookup[red << 16 | green << 8 | blue] = train
    return lookup
