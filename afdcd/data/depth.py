"""More than 8 bits a value, made 8: by one rule wherever a picture is read.

A file says in how many bits a value is kept, not how many the camera filled: 10 and 12 bits mostly
come in 16. So the largest value of the picture decides: the least of 8, 10, 12, 14 and 16 bits that
holds it is taken for the range, and its 8 high bits are kept. Floating-point values are taken for
0..1 if none is larger, else for 0..255. Both are guesses about a dark picture, so `depth_note` says
which was made.
"""

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

_RANGES = (8, 10, 12, 14, 16)
_BITS = "bits"  # in Pillow's `info` of a picture: how many its colours were taken for
_TIFF_BITS = 258
_PNG = b"\x89PNG"


class DepthError(ValueError):
    """Values that no rule brings to 8 bits, and what to do about it."""


def is_deep_gray(image: Image.Image) -> bool:
    """Whether Pillow gives one number of more than 8 bits for each pixel."""
    return image.mode == "F" or image.mode.startswith("I")


def is_deep_png(data: bytes) -> bool:
    """Whether a PNG has 16 bits a value: its range is known when all of it was read."""
    return data.startswith(_PNG) and data[24:25] == b"\x10"


def eight_bit_gray(image: Image.Image) -> UInt8[np.ndarray, "H W"]:
    """The values of `is_deep_gray` pictures in 8 bits.

    Raises:
        DepthError: values below 0, above 65535 or, of floating point, above 255 or not finite.
    """
    values = np.asarray(image)
    low, high = values.min(), values.max()  # both are nan if any is
    most = 255 if image.mode == "F" else 0xFFFF
    if not (low >= 0 and high <= most):
        raise DepthError(f"values {low}..{high}, 0..{most} expected: convert it to 8 bits a value")
    if image.mode == "F":
        return (values * _factor(high)).round().astype(np.uint8)
    return _high_bits(values, bits_used(int(high)))


def deepen_colours(image: Image.Image, data: bytes) -> None:
    """Put the high bits that are used into a decoded `image` of 16-bit colours.

    Pillow keeps the high byte alone, in which 12 bits are nearly black. Alpha keeps its high byte.
    """
    if not _has_deep_colours(image, data):
        return
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.shape[:2] != image.size[::-1]:
        return  # of a kind that OpenCV reads otherwise; the high byte is right for 16 bits
    bits = bits_used(int(values[:, :, :3].max()))
    colours = _high_bits(values[:, :, 2::-1], bits)
    alpha = [_high_bits(values[:, :, 3:], 16)] if values.shape[2] == 4 else []
    image.paste(Image.fromarray(np.dstack([colours, *alpha])).convert(image.mode))
    image.info[_BITS] = bits


def depth_note(image: Image.Image) -> str | None:
    """How the range of a decoded picture was guessed; None where there was nothing to guess."""
    if image.mode == "F":
        high = np.asarray(image).max()
        return "floating-point values up to 255: read as 0..255" if high > 1 else None
    if image.mode.startswith("I"):
        bits = bits_used(int(np.asarray(image).max()))
    else:
        bits = image.info.get(_BITS, 16)
    return f"no value above {2**bits - 1}: read as {bits} bits in 16" if bits < 16 else None


def bits_used(most: int) -> int:
    """The range that `most`, a picture's largest value (0..65535), is taken for."""
    return next(bits for bits in _RANGES if most < 1 << bits)


def _high_bits(values: np.ndarray, bits: int) -> np.ndarray:
    return (values >> (bits - 8)).astype(np.uint8)


def _factor(high: float) -> int:
    return 255 if high <= 1 else 1


def _has_deep_colours(image: Image.Image, data: bytes) -> bool:
    if image.mode not in ("RGB", "RGBA", "LA"):
        return False
    if image.format == "TIFF":
        return max(getattr(image, "tag_v2", {}).get(_TIFF_BITS, (8,))) == 16
    return is_deep_png(data)
