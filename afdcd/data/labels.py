"""How a raw label file says which class a pixel has, and its translation to train ids.

One encoding per edition of a data set; a layout names the one its files are in. All of them are
plain values, so that they travel to other processes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from afdcd.data.images import PictureError, decode

IGNORE = 255
"""The train id of a pixel that neither trains nor scores."""

RGB = tuple[int, int, int]
TrainIds: TypeAlias = UInt8[np.ndarray, "H W"]

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
        if label.mode not in ("L", "P", "1", "I;16", "I;16B", "I"):
            raise PictureError(
                f"{label.mode} label, one number per pixel expected (mode L or P): "
                "use the edition with class numbers, or map its colours to them"
            )
        values = np.asarray(label)
        if values.dtype == bool:
            values = values.astype(np.uint8)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise PictureError(f"label values {values.min()}..{values.max()}: another encoding?")
        counts = np.bincount(values.ravel())
        unknown = [(int(v), int(counts[v])) for v in np.flatnonzero(counts) if v not in self.table]
        if unknown:
            raise PictureError(self._unknown(unknown))
        lookup = np.zeros(len(counts), dtype=np.uint8)
        for value in np.flatnonzero(counts):
            lookup[value] = self.table[int(value)]
        return lookup[values]

    def _unknown(self, unknown: list[tuple[int, int]]) -> str:
        listed = ", ".join(f"{value} ({count} pixels)" for value, count in unknown[:8])
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        guesses = {self.lookalikes[value] for value, _ in unknown if value in self.lookalikes}
        known = f"{min(self.table)}..{max(self.table)}"
        guess = "; ".join(sorted(guesses)) or f"another encoding? expected some of {known}"
        return f"label values of no class: {listed}{more}: {guess}"


@dataclass(frozen=True)
class Colours:
    """One colour per class; what has none of them is ignored as long as it is below 1 %."""

    name: str
    table: Mapping[RGB, int]

    def train_ids(self, data: bytes) -> TrainIds:
        label = decode(data)
        if label.mode not in ("RGB", "RGBA", "P"):
            raise PictureError(
                f"{label.mode} label, class colours expected: use the edition with coloured labels"
            )
        codes = _codes(np.asarray(label.convert("RGB")))
        known = np.array(sorted(_code(colour) for colour in self.table))
        trains = {_code(colour): train for colour, train in self.table.items()}
        place = np.searchsorted(known, codes).clip(max=len(known) - 1)
        stray = known[place] != codes
        if stray.mean() > _STRAY_SHARE:
            found, counts = np.unique(codes[stray], return_counts=True)
            worst = int(found[counts.argmax()])
            colour = (worst >> 16, worst >> 8 & 255, worst & 255)
            raise PictureError(
                f"{stray.mean():.1%} of the pixels have a colour of no class, most of them {colour}: "
                "another colour table, or the label was resized with interpolation"
            )
        ids = np.array([trains[int(code)] for code in known], dtype=np.uint8)[place]
        ids[stray] = IGNORE
        return ids


def _codes(pixels: UInt8[np.ndarray, "H W 3"]) -> np.ndarray:
    return pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def _code(colour: RGB) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]
