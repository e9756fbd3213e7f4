"""Masks that people bring: numbers or colours as in the catalog, and the ways in which masks go wrong.

What a mask says without doubt is read: an RGB file whose pixels are all gray holds numbers, a
palette holds indices for a table of numbers and colours for a table of colours. Whatever leaves a
doubt is refused with its cause: JPEG changes values, transparency has no agreed meaning.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from afdcd.data.catalog.labels import Colours, Numbers, TrainIds, scaled
from afdcd.data.images import PictureError, decode

_LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp")
_BAND = 512  # rows that are compared at once


@dataclass(frozen=True)
class MaskNumbers(Numbers):
    """One number per pixel, or a table of them; an RGB file counts where every pixel is gray."""

    def train_ids(self, data: bytes) -> TrainIds:
        label = as_numbers(open_mask(data))
        if label is None:
            raise PictureError(
                "a mask of colours, but the classes are given by numbers: "
                "give their colours in classes.yaml"
            )
        if label.mode == "I" and (lowest := int(np.asarray(label).min())) < 0:
            raise PictureError(f"label value {lowest}: {_REDUCED}")
        return self.translate(label)

    def guess(self, present: frozenset[int]) -> str:
        return guess(present, frozenset(self.table))


@dataclass(frozen=True)
class MaskColours(Colours):
    """One colour per class, of RGB files and of palettes; strays as for `Colours`."""

    def train_ids(self, data: bytes) -> TrainIds:
        label = open_mask(data)
        if label.mode in ("L", "1") and self._gray:
            label = label.convert("RGB")
        if label.mode not in ("RGB", "P"):
            raise PictureError(
                f"a mask of numbers ({label.mode}), but the classes are given by colours: "
                "give their values in classes.yaml"
            )
        return self.translate(label)

    @property
    def _gray(self) -> bool:
        """Whether every colour is gray: black and white may be stored as either."""
        return all(red == green == blue for red, green, blue in self.table)


def open_mask(data: bytes) -> Image.Image:
    """Decode a mask; one with an alpha channel that says nothing comes without it.

    Raises:
        PictureError: no picture, of a format that changes or cuts values, or partly transparent.
    """
    label = None if data.startswith(b"\xff\xd8") else decode(data)
    if label is None or _lossy(data, label):
        kind = label.format if label else "JPEG"
        raise PictureError(
            f"a {kind} mask with lossy compression, which changes values near borders without a "
            "trace: export the masks as PNG (converting this file does not bring them back)"
        )
    if _cut_to_8_bits(data):
        raise PictureError("16 bits for each of several channels: save it with one, or with 8 bits")
    if label.mode not in ("RGBA", "LA"):
        return label
    alpha = np.asarray(label.getchannel("A"))
    if clear := int((alpha != 255).sum()):
        raise PictureError(
            f"{clear} pixels are transparent, and whether that is background or unlabelled is not "
            "said: paint them in the value of their class and save without an alpha channel"
        )
    return label.convert(label.mode[:-1])


def _lossy(data: bytes, label: Image.Image) -> bool:
    if label.format == "TIFF":
        return label.info.get("compression") in _LOSSY_TIFF
    # A WebP file is a list of chunks: `VP8 ` is lossy, `VP8L` is not, others come before it.
    at = 12 if label.format == "WEBP" else len(data)
    while at < len(data) and data[at : at + 4] != b"VP8 ":
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return at < len(data)


def _cut_to_8_bits(data: bytes) -> bool:
    """Whether Pillow reads a PNG's high bytes only: small numbers would all become 0."""
    return data.startswith(b"\x89PNG") and data[24] == 16 and data[25] in (2, 4, 6)


def as_numbers(label: Image.Image) -> Image.Image | None:
    """One number per pixel where `label` has that, also as RGB with equal channels; else None."""
    if label.mode != "RGB":
        return label  # `Numbers` refuses the modes that have none
    for top in range(0, label.height, _BAND):
        band = np.asarray(label.crop((0, top, label.width, min(top + _BAND, label.height))))
        if (band != band[:, :, :1]).any():
            return None
    return label.getchannel("R")


_REDUCED = (
    "`reduce_zero_label` applied to numbers that begin with 0, or twice? "
    "Export the numbers as they were"
)


def guess(present: frozenset[int], known: frozenset[int]) -> str:
    """What a mask that holds the values `present` may be, where only `known` are of a class."""
    unknown = present - known
    if 255 in unknown and present <= {0, 255}:
        return "a binary mask? List 255 as a class in classes.yaml"
    if max(unknown) > 255:
        return "class * 1000 + instance? Export the class numbers (value // 1000)"
    if unknown == {254}:
        return _REDUCED
    ids = sorted(present - {0, 255})
    if len(ids) > 1 and ids == list(range(1, len(ids) + 1)):
        return (
            f"instance ids, 1 to {len(ids)}? Export masks of classes, or list these in classes.yaml"
        )
    if multiples := scaled(present, known):
        return multiples
    if unknown == {255}:
        return "unlabelled pixels? Say --ignore 255, or list it as a class in classes.yaml"
    return ""
