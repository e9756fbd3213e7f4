"""Reading pictures: stored bytes to pixels, and a plain reason where that fails.

EXIF orientation is not applied here: labels follow the stored pixel grid (`afdcd.data.viewed` turns
a picture for a person).
"""

import io
import warnings
import zlib
from math import ceil

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from afdcd.data.depth import DepthError, deepen_colours, eight_bit_gray, is_deep_gray
from afdcd.data.foreign import foreign
from afdcd.data.formats import FORMATS
from afdcd.environment import max_megapixels
from afdcd.text import first_line

# Pillow's own limit is fixed, and says "decompression bomb DOS attack"; `_check_size` has ours.
Image.MAX_IMAGE_PIXELS = None
# What Pillow says of odd metadata is for `prepare`, which collects it; nobody can act on it elsewhere.
warnings.filterwarnings("ignore", module=r"PIL\.")

JPEG_LONGEST = 65500  # pixels of a side, of libjpeg; other formats reach 2**31

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, zlib.error, cv2.error)


class PictureError(Exception):
    """Why bytes are no usable picture, and what to do about it: `reason: remedy`."""


def decode(data: bytes, *, judged: bool = False) -> Image.Image:
    """Decode every pixel, not only the header; of several pages or frames the first.

    Args:
        judged: it comes from a shard, so its size was allowed when it was prepared.

    Raises:
        PictureError: empty, of another format, cut off, no picture at all, or larger than
            AFDCD_MAX_MEGAPIXELS or than memory.
        UserError: AFDCD_MAX_MEGAPIXELS is no number.
    """
    if not data:
        raise PictureError("empty file: fetch it again")
    try:
        image = Image.open(io.BytesIO(data), formats=tuple(FORMATS))
    except _UNREADABLE:
        name, remedy = foreign(data) or (f"no picture ({', '.join(FORMATS)})", "fetch it again")
        raise PictureError(f"{name}: {remedy}") from None
    if not judged:
        _check_size(image)
    try:
        image.load()
        deepen_colours(image, data)
    except _UNREADABLE as error:
        raise PictureError(f"truncated or damaged ({first_line(error)}): fetch it again") from None
    except MemoryError:
        raise _too_large(image) from None
    return image


def to_rgb(image: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """Any mode to RGB of 8 bits; the rules for deeper pictures are those of `afdcd.data.depth`.

    Transparency is dropped: what counts is the colour that is stored under it. CMYK becomes RGB
    without a colour profile.

    Raises:
        PictureError: values that no rule brings to 8 bits, or too little memory.
    """
    try:
        if is_deep_gray(image):
            return np.repeat(eight_bit_gray(image)[:, :, None], 3, axis=2)
        return np.asarray(image.convert("RGB"))
    except DepthError as error:
        raise PictureError(str(error)) from None
    except MemoryError:
        raise _too_large(image) from None


def pixels_of(image: Image.Image) -> str:
    """The size of a picture for a person, e.g. `30000x30000 pixels (900 Mpx)`."""
    return f"{image.width}x{image.height} pixels ({_megapixels(image):.3g} Mpx)"


def _check_size(image: Image.Image) -> None:
    """A few bytes can declare a picture that fills all memory, and the system would end the run."""
    most = max_megapixels()
    if _megapixels(image) > most:
        raise PictureError(
            f"{pixels_of(image)}, more than {most:g} Mpx: scale it down, cut it into parts, or set "
            f"AFDCD_MAX_MEGAPIXELS={ceil(_megapixels(image))} where there is memory for it"
        )


def _too_large(image: Image.Image) -> PictureError:
    return PictureError(f"{pixels_of(image)}, too large for this machine's memory: scale it down")


def _megapixels(image: Image.Image) -> float:
    return image.width * image.height / 1e6


def encode_png(pixels: np.ndarray) -> bytes:
    """Lossless."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def encode_label(ids: UInt8[np.ndarray, "H W"]) -> bytes:
    """8-bit PNG without filters: labels are runs of one number, which filters only disturb.

    Beyond zlib's level 7 the last tenth of the size costs five times the time (docs/performance.md).
    """
    parameters = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
    _, data = cv2.imencode(".png", ids, [*parameters, cv2.IMWRITE_PNG_COMPRESSION, 7])
    return data.tobytes()


def encode_jpeg(pixels: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """4:4:4: halving the colour resolution would blur the edges that labels lie on.

    Raises:
        PictureError: a side is longer than a JPEG's may be.
    """
    height, width = pixels.shape[:2]
    if max(height, width) > JPEG_LONGEST:
        raise PictureError(
            f"{width}x{height} pixels, a JPEG has at most {JPEG_LONGEST} a side: use --max-side"
        )
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()
