"""How a picture and its label are stored: as shipped, or smaller as the person who prepares asks."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from afdcd.data.images import encode_jpeg, encode_png, to_rgb

_AGAIN_QUALITY = 95  # of a JPEG that is scaled down and asked nothing else


@dataclass(frozen=True, slots=True)
class Storing:
    """What becomes of the pixels.

    Attributes:
        jpeg_quality: images are encoded again as JPEG 4:4:4; None keeps their bytes, and encodes
            those that `max_side` changes in their own kind: JPEG at 95, all others as PNG.
        max_side: longest side in pixels that an image and its label keep.
    """

    jpeg_quality: int | None = None
    max_side: int | None = None

    def image(self, data: bytes, image: Image.Image) -> bytes:
        """The bytes to store for `image`, which was decoded from `data`."""
        size = self._size(image.height, image.width)
        if size == (image.height, image.width) and self.jpeg_quality is None:
            return data
        pixels = to_rgb(image)
        if size != pixels.shape[:2]:
            # The mean over each new pixel's area: no pixel of the original is skipped.
            pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
        if self.jpeg_quality is None and image.format != "JPEG":
            return encode_png(pixels)
        return encode_jpeg(pixels, self.jpeg_quality or _AGAIN_QUALITY)

    def label(self, ids: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "h w"]:
        """`ids` at the size of the stored image; a class is never mixed from two."""
        size = self._size(*ids.shape)
        if size == ids.shape:
            return ids
        # INTER_NEAREST takes the left upper pixel of each area, half of it beside the image's mean.
        return np.asarray(cv2.resize(ids, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))

    def _size(self, height: int, width: int) -> tuple[int, int]:
        longest = max(height, width)
        if self.max_side is None or longest <= self.max_side:
            return height, width
        scale = self.max_side / longest
        return max(1, round(height * scale)), max(1, round(width * scale))
