"""10, 12, 14 and 16 bits look alike: one rule for gray, colours, and every way in which a row is read."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from afdcd.data.depth import depth_note
from afdcd.data.images import PictureError, decode, encode_png, to_rgb
from afdcd.data.pixels import image_pixels

EIGHT = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
EIGHT[-1, -1] = 255  # so that the range is used, and by the last row alone
EIGHT[:-1] //= 4


def _encoded(values: np.ndarray, ending: str) -> bytes:
    done, data = cv2.imencode(ending, values[:, :, ::-1] if values.ndim == 3 else values)
    assert done
    return data.tobytes()


def _tiff(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF")
    return stream.getvalue()


@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_as_bright_whatever_its_range(ending: str, bits: int, channels: int) -> None:
    eight = EIGHT if channels == 3 else EIGHT[:, :, 0]
    values = eight.astype(np.uint16) << (bits - 8)
    image = decode(_encoded(values, ending))
    np.testing.assert_array_equal(
        to_rgb(image), np.atleast_3d(eight).repeat(4 - channels, 2)[:, :, :3]
    )
    said = f"no value above {2**bits - 1}: read as {bits} bits in 16" if bits < 16 else None
    assert depth_note(image) == said


@pytest.mark.parametrize("channels", [1, 3])
def test_training_sees_what_prediction_sees_when_it_reads_a_few_rows(channels: int) -> None:
    """The largest value may stand in a row that is not asked for."""
    values = EIGHT[:, :, :channels].astype(np.uint16) << 4
    data = _encoded(values, ".png")
    np.testing.assert_array_equal(image_pixels(data, 5)[:5], to_rgb(decode(data))[:5])


@pytest.mark.parametrize(("kind", "channels"), [(4, 2), (6, 4)])
def test_alpha_says_nothing_of_the_range(kind: int, channels: int) -> None:
    colours = EIGHT[:, :, : channels - 1].astype(np.uint16) << 4
    alpha = np.full((*EIGHT.shape[:2], 1), 0xFFFF, np.uint16)
    image = decode(_png16(np.dstack([colours, alpha]), kind))
    expected = EIGHT if channels == 4 else EIGHT[:, :, :1].repeat(3, axis=2)
    np.testing.assert_array_equal(to_rgb(image), expected)
    assert image.getchannel("A").getextrema() == (255, 255)


@pytest.mark.parametrize(
    ("most", "note"), [(1, None), (255, "floating-point values up to 255: read as 0..255")]
)
def test_floating_point_is_0_to_1_or_0_to_255(most: int, note: str | None) -> None:
    gray = EIGHT[:, :, 0]
    image = decode(_tiff((gray / np.float32(255 / most)).astype(np.float32)))
    np.testing.assert_array_equal(to_rgb(image)[:, :, 1], gray)
    assert depth_note(image) == note


@pytest.mark.parametrize(
    "values",
    [
        np.full((4, 4), -0.5, np.float32),
        np.full((4, 4), 4000, np.float32),
        np.full((4, 4), np.nan, np.float32),
        np.full((4, 4), -1, np.int32),
        np.full((4, 4), 70_000, np.int32),
    ],
)
def test_values_of_no_range_are_refused(values: np.ndarray) -> None:
    with pytest.raises(PictureError, match=r"values .*expected: convert it to 8 bits"):
        to_rgb(decode(_tiff(values)))


def test_a_picture_of_8_bits_has_no_range_to_guess() -> None:
    dark = decode(encode_png(EIGHT // 64))
    np.testing.assert_array_equal(to_rgb(dark), EIGHT // 64)
    assert depth_note(dark) is None


def _png16(values: np.ndarray, kind: int) -> bytes:
    """A PNG of colour type `kind`, each row after a byte for no filter."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
