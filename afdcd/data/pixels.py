"""Stored bytes to pixels, no more of them than are asked for.

One decoder for each format in the whole project (`afdcd.data.images`): two JPEG decoders may differ
by a level, and training would see other pixels than evaluation and prediction.
"""

import struct
import zlib

import cv2
import numpy as np
import pyarrow as pa
from jaxtyping import UInt8
from PIL import Image

from afdcd.data.depth import is_deep_png
from afdcd.data.images import decode, to_rgb

_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER = slice(12, 29)  # of a PNG: b"IHDR", width, height, depth, colour type, ..., interlace
_INTERLACE = 28
_AFTER_HEADER = 33


def image_pixels(data: bytes, rows: int | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """RGB of at least the first `rows` rows; of all where that is no cheaper.

    Raises:
        PictureError: no usable picture.
    """
    image = decode(_first_rows(data, rows), judged=True)
    return _rgb(image) if image.mode == "RGB" else to_rgb(image)


def label_pixels(data: bytes, rows: int | None = None) -> UInt8[np.ndarray, "H W"]:
    """Train ids of at least the first `rows` rows. Raises PictureError as `image_pixels` does."""
    return np.asarray(decode(_first_rows(data, rows), judged=True))


def _first_rows(data: bytes, rows: int | None) -> bytes:
    """A PNG whose header asks for its first `rows` rows, so that a decoder stops after them.

    Exact, as a PNG's rows come from top to bottom, each depending on the one above alone. Not of
    an interlaced one, nor of 16 bits a value, whose range the whole picture tells; other formats
    are left as they are.
    """
    if rows is None or not data.startswith(_PNG) or data[_INTERLACE] or is_deep_png(data):
        return data
    header = bytearray(data[:_AFTER_HEADER])
    (height,) = struct.unpack(">I", header[20:24])
    if rows >= height:
        return data
    header[20:24] = struct.pack(">I", rows)
    header[29:33] = struct.pack(">I", zlib.crc32(header[_HEADER]))
    return b"".join([header, memoryview(data)[_AFTER_HEADER:]])


def _rgb(image: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """`np.asarray(image)` in a third of the time: Pillow keeps RGB in four bytes a pixel."""
    try:
        padded: np.ndarray = np.from_dlpack(
            pa.array(image).flatten()
        )  # a view of Pillow's own memory
    except ValueError:  # a large picture does not lie in one piece
        return np.asarray(image)
    return cv2.cvtColor(padded.reshape(image.height, image.width, 4), cv2.COLOR_RGBA2RGB)
