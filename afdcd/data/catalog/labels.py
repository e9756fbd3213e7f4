"""How a raw label file says which class a pixel has, and its translation to train ids.

One encoding per edition of a data set; a layout names the one its files are in. All of them are
plain values, so that they travel to other processes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
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
        guesses = {self.lookalikes[value] for value in unknown if value in self.lookalikes}
        known = f"{min(self.table)}..{max(self.table)}"
        guess = "; ".join(sorted(guesses)) or f"another encoding? expected some of {known}"
        return f"label values of no class: {listed}{more}: {guess}"


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
        codes = _codes(np.asarray(label.convert("RGB")))
        ids = _colour_lookup(tuple(self.table.items()))[codes]
        stray = ids == _UNKNOWN
        if stray.mean() > _STRAY_SHARE:
            found, counts = np.unique(codes[stray], return_counts=True)
            worst = int(found[counts.argmax()])
            colour = (worst >> 16, worst >> 8 & 255, worst & 255)
            raise PictureError(
                f"{stray.mean():.1%} of the pixels have a colour of no class, most of them {colour}: "
                "another colour table, or the label was resized with interpolation"
            )
        ids[stray] = IGNORE
        return ids


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
