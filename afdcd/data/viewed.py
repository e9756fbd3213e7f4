"""A decoded picture as a person sees it: which way up, and what of the file is not shown."""

import struct

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from afdcd.data.depth import depth_note

_ORIENTATION = 274  # EXIF: 2..8 mirror and rotate, of which 5..8 swap the sides
# Turned by each: whether rows become columns, and the steps in which rows and columns are then read.
_TURNS = {
    1: (False, 1, 1),
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}


def orientation(image: Image.Image) -> int:
    """How a viewer would turn the decoded picture, 1..8 as in EXIF; 1 is not at all.

    Pillow turns a TIFF itself while it decodes it, so there it is 1.
    """
    try:
        turn = image.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, struct.error):
        return 1  # damaged metadata; the pixels are whole
    return turn if turn in _TURNS else 1


def turned(pixels: UInt8[np.ndarray, "H W 3"], turn: int) -> UInt8[np.ndarray, "h w 3"]:
    """Stored pixels as a viewer shows them; `turn` is what `orientation` says."""
    swap, rows, columns = _TURNS[turn]
    pixels = pixels.swapaxes(0, 1) if swap else pixels
    return np.ascontiguousarray(pixels[::rows, ::columns])


def notes(image: Image.Image) -> tuple[str, ...]:
    """What was guessed or left out in reading a decoded picture, equal words for equal kinds."""
    depth = depth_note(image)
    found = [depth] if depth else []
    # Of a JPEG (MPO) the others are thumbnails. Counting the frames would undo what was decoded.
    if image.format in ("TIFF", "PNG", "WEBP") and getattr(image, "is_animated", False):
        found.append("the first of several pages or frames is read")
    if _is_transparent(image):
        found.append("transparency is dropped: the colours that are stored under it are read")
    return tuple(found)


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel lets the ground shine through; an opaque alpha channel does not."""
    bands = image.getbands()
    if bands[-1] in "Aa":
        return bool(np.asarray(image.getchannel(bands[-1])).min() < 255)
    return "transparency" in image.info
