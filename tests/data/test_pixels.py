import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from afdcd.data.images import PictureError, decode, encode_jpeg, encode_png, to_rgb
from afdcd.data.pixels import image_pixels, label_pixels

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("rows", [1, 17, 39, 40, 41, None])
def test_first_rows_of_a_png(rows: int | None) -> None:
    image = image_pixels(encode_png(PIXELS), rows)
    label = label_pixels(encode_png(PIXELS[:, :, 0]), rows)
    count = min(rows or 40, 40)
    np.testing.assert_array_equal(image, PIXELS[:count])
    np.testing.assert_array_equal(label, PIXELS[:count, :, 0])


def test_rows_that_are_not_asked_for_are_not_decoded() -> None:
    """Damage below them goes unseen; whoever reads a row has compared its checksum before."""
    data = encode_png(np.repeat(PIXELS, 200, axis=0))
    cut = data[: len(data) // 2]
    np.testing.assert_array_equal(image_pixels(cut, 100), np.repeat(PIXELS, 200, axis=0)[:100])
    with pytest.raises(PictureError, match="truncated"):
        image_pixels(cut)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_first_rows_of_a_png_of_any_mode(mode: str) -> None:
    picture = Image.fromarray(PIXELS).convert(mode)
    expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(image_pixels(_saved(picture, "PNG"), 10), expected[:10])


def test_an_interlaced_png_is_decoded_whole() -> None:
    label = PIXELS[:, :, 0]
    np.testing.assert_array_equal(label_pixels(_interlaced(label), 10), label)


def _interlaced(label: np.ndarray) -> bytes:
    """Adam7: seven coarse images, one after the other, each row after a byte for no filter."""
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    passes = [label[y::dy, x::dx] for y, x, dy, dx in [*starts, (1, 0, 2, 1)]]
    rows = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    height, width = label.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_has_the_pixels_that_prediction_sees(subsampling: int, mode: str) -> None:
    smooth = cv2.resize(PIXELS, (301, 203))
    data = _saved(Image.fromarray(smooth).convert(mode), "JPEG", subsampling=subsampling)
    np.testing.assert_array_equal(image_pixels(data, 10), to_rgb(decode(data)))


def test_pictures_of_any_size_are_those_of_pillow() -> None:
    """Pillow keeps a large one in several pieces of memory."""
    for size in ((1, 1), (3, 5), (2100, 2050)):
        pixels = np.zeros((*size, 3), dtype=np.uint8)
        pixels[-1, -1] = 1, 2, 3
        np.testing.assert_array_equal(image_pixels(encode_png(pixels)), pixels)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(PictureError, match="no picture"):
        image_pixels(b"plain text", 10)
    with pytest.raises(PictureError, match="truncated"):
        image_pixels(encode_jpeg(PIXELS, 95)[:-200], 10)
