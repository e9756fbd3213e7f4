"""What masks hold, counted: for the person who must say what it means."""

from collections import Counter

import numpy as np
from PIL import Image

from afdcd.data.catalog.labels import colour_bands, colour_of
from afdcd.data.catalog.train_ids import RGB
from afdcd.data.images import PictureError
from afdcd.data.own.masks import as_numbers, open_mask

_BAND = 512


def is_coloured(data: bytes) -> bool:
    """Whether a mask can only be read by colours: RGB or RGBA, and some pixel is not gray.

    Raises:
        PictureError: as `open_mask`.
    """
    return as_numbers(open_mask(data)) is None


def is_gray_rgb(data: bytes) -> bool:
    """Whether it stores numbers three times over, as RGB with equal channels: worth a remark.

    Raises:
        PictureError: as `open_mask`.
    """
    label = open_mask(data)
    return label.mode == "RGB" and as_numbers(label) is not None


def count_numbers(data: bytes) -> dict[int, int]:
    """Value -> pixels, in order of values; indices of a palette.

    Raises:
        PictureError: as `open_mask`, or there is not one number per pixel.
    """
    label = as_numbers(open_mask(data))
    if label is None or label.mode in ("CMYK", "F", "YCbCr", "LAB", "HSV", "PA"):
        raise PictureError("no single number per pixel: save the mask as 8-bit gray PNG")
    return dict(sorted(_counted(label).items()))


def count_colours(data: bytes) -> dict[RGB, int]:
    """Colour -> pixels, the most frequent first; the colours of a palette.

    Raises:
        PictureError: as `open_mask`, or there are no colours.
    """
    label = open_mask(data)
    if label.mode not in ("RGB", "P", "L", "1"):
        raise PictureError(f"no colours ({label.mode}): save the mask as RGB PNG")
    counts: Counter[int] = Counter()
    for codes in colour_bands(label):
        _add(counts, codes)
    return {
        colour_of(c): n for c, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    }


def _counted(label: Image.Image) -> Counter[int]:
    counts: Counter[int] = Counter()
    for top in range(0, label.height, _BAND):
        band = label.crop((0, top, label.width, min(top + _BAND, label.height)))
        _add(counts, np.asarray(band).astype(np.int64))
    return counts


def _add(counts: Counter[int], values: np.ndarray) -> None:
    found, often = np.unique(values, return_counts=True)
    counts.update(dict(zip(found.tolist(), often.tolist(), strict=True)))


def stores_numbers(data: bytes) -> bool:
    """Whether a mask has one number per pixel and neither colours nor a palette.

    Raises:
        PictureError: as `open_mask`.
    """
    return open_mask(data).mode not in ("RGB", "P")
