"""Reading pictures: stored bytes to pixels, and a plain reason where that fails.

EXIF orientation is never applied: labels follow the stored pixel grid.
"""

import io
import zlib

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from afdcd.text import first_line

# A closed list: some of Pillow's other readers start programs (EPS) or are rarely exercised.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")

_LFS_POINTER = b"version https://git-lfs"
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, zlib.error)


class PictureError(Exception):
    """Why bytes are no usable picture, and what to do about it: `reason: remedy`."""


def decode(data: bytes) -> Image.Image:
    """Decode every pixel, not only the header.

    Raises:
        PictureError: empty, a git-LFS pointer, a web page, cut off, larger than memory should
            hold (Pillow's limit, 179 megapixels), or no picture at all.
    """
    if not data:
        raise PictureError("empty file: fetch it again")
    if data.startswith(_LFS_POINTER):
        raise PictureError("git-LFS pointer instead of a picture: run `git lfs pull` at its source")
    if data[:256].lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise PictureError(
            "HTML page instead of a picture: the download needs a login; fetch again"
        )
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureError(f"too large ({first_line(error)}): cut it into tiles") from None
    except _UNREADABLE:
        raise PictureError(f"no picture ({', '.join(FORMATS)}): fetch it again") from None
    try:
        image.load()
    except _UNREADABLE as error:
        raise PictureError(f"truncated or damaged ({first_line(error)}): fetch it again") from None
    return image


def to_rgb(image: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """Any mode to RGB; 16-bit gray keeps its high byte unless its values fit into 8 bits."""
    if image.mode in ("I;16", "I;16B", "I"):
        gray = np.asarray(image).astype(np.int64)
        gray = gray if gray.max() < 256 else gray >> 8
        return np.repeat(gray.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


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
    """4:4:4: halving the colour resolution would blur the edges that labels lie on."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()
