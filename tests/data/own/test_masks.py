"""Every way in which a mask of one's own goes wrong, and what is said of it."""

import io
import pickle
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from afdcd.data.catalog.labels import Encoding
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.images import PictureError
from afdcd.data.own.masks import MaskColours, MaskNumbers

NUMBERS = MaskNumbers("numbers", {0: 0, 1: 1, 26: 2, 255: IGNORE})
COLOURS = MaskColours("colours", {(0, 0, 0): 0, (61, 61, 245): 1, (245, 147, 49): 2})
RNG = np.random.default_rng(0)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def gray(*values: int, dtype: type = np.uint8, kind: str = "PNG") -> bytes:
    return saved(Image.fromarray(np.array([values], dtype)), kind)


def test_values_of_the_table_are_read_in_8_and_16_bits() -> None:
    for data in (gray(0, 1, 26, 255), gray(0, 1, 26, 255, dtype=np.uint16)):
        assert NUMBERS.train_ids(data).tolist() == [[0, 1, 2, IGNORE]]
    large = MaskNumbers("16 bits", {7000: 0, 26001: 1})
    assert large.train_ids(gray(7000, 26001, dtype=np.uint16)).tolist() == [[0, 1]]


def test_one_bit_is_zero_and_one() -> None:
    assert NUMBERS.train_ids(gray(0, 1, 1, dtype=bool)).tolist() == [[0, 1, 1]]


def test_rgb_with_equal_channels_holds_numbers() -> None:
    values = RNG.choice(np.array([0, 1, 26, 255], np.uint8), (1100, 3))
    rgb = Image.fromarray(np.stack([values] * 3, axis=2))
    expected = NUMBERS.train_ids(saved(Image.fromarray(values)))
    for image in (rgb, rgb.convert("RGBA")):
        np.testing.assert_array_equal(NUMBERS.train_ids(saved(image)), expected)


def test_one_pixel_that_is_not_gray_makes_a_mask_of_colours() -> None:
    pixels = np.zeros((1100, 3, 3), np.uint8)
    pixels[1099, 2] = 1, 1, 2  # in the last rows, which are compared in a band of their own
    with pytest.raises(PictureError, match=r"mask of colours.*classes\.yaml"):
        NUMBERS.train_ids(saved(Image.fromarray(pixels)))


def _palette() -> Image.Image:
    image = Image.fromarray(np.array([[0, 1, 26]], np.uint8)).convert("P")
    channels = [0] * 768
    channels[0:3], channels[3:6], channels[78:81] = (245, 147, 49), (0, 0, 0), (61, 61, 245)
    image.putpalette(channels)
    return image


def test_palette_means_indices_to_numbers_and_colours_to_colours() -> None:
    """The table decides: CVAT's order of colours need not be the palette's."""
    data = saved(_palette())
    assert NUMBERS.train_ids(data).tolist() == [[0, 1, 2]]
    assert COLOURS.train_ids(data).tolist() == [[2, 0, 1]]


@pytest.mark.parametrize("encoding", [NUMBERS, COLOURS])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_is_refused_even_if_its_values_look_valid(encoding: Encoding, mode: str) -> None:
    with pytest.raises(PictureError, match=r"JPEG.*export the masks as PNG"):
        encoding.train_ids(saved(Image.new(mode, (8, 8)), "JPEG"))


def test_other_lossy_formats_are_refused_and_lossless_ones_read() -> None:
    image = Image.new("RGB", (16, 16), (1, 1, 1))
    exact = [saved(image, "WEBP", lossless=True, exact=True), saved(image, "TIFF")]
    exact.append(saved(image.convert("RGBA"), "WEBP", lossless=True, exif=b"Exif\0\0MM\0*"))
    for data in exact:
        assert (NUMBERS.train_ids(data) == 1).all()
    lossy = [saved(image, "WEBP"), saved(image, "WEBP", exif=b"Exif\0\0MM\0*")]
    lossy.append(saved(image, "TIFF", compression="jpeg"))
    for data in lossy:
        with pytest.raises(PictureError, match=r"a (WEBP|TIFF) mask with lossy compression"):
            NUMBERS.train_ids(data)


def test_16_bits_in_three_channels_are_not_cut_to_the_high_byte() -> None:
    """All small numbers would be read as 0, without a word."""
    _, data = cv2.imencode(".png", np.ones((4, 4, 3), np.uint16))
    with pytest.raises(PictureError, match="16 bits for each of several channels"):
        NUMBERS.train_ids(data.tobytes())


@pytest.mark.parametrize("encoding", [NUMBERS, COLOURS])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_asked_about(encoding: Encoding, mode: str) -> None:
    image = Image.new(mode, (4, 2), 0)
    image.putalpha(Image.fromarray(np.array([[255] * 4, [255, 255, 0, 254]], np.uint8)))
    with pytest.raises(PictureError, match=r"2 pixels are transparent.*without an alpha channel"):
        encoding.train_ids(saved(image))


def test_opaque_alpha_is_dropped() -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("LA")
    assert NUMBERS.train_ids(saved(image)).tolist() == [[0, 1]]
    colour = Image.new("RGBA", (2, 1), (61, 61, 245, 255))
    assert COLOURS.train_ids(saved(colour)).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gray(0, 255), r"255 \(1 pixels\): a binary mask\? List 255 as a class"),
        (gray(0, 1, 255), r"255 \(1 pixels\): unlabelled pixels\? Say --ignore 255"),
        (gray(0, 1, 254), r"254 .*`reduce_zero_label`.*twice"),
        (gray(-1, 0, 1, dtype=np.int32, kind="TIFF"), r"-1: `reduce_zero_label`.*twice"),
        (gray(0, 26001, 26002, dtype=np.uint16), r"26001 .*class \* 1000 \+ instance"),
        (gray(0, 1, 2, 3, 4), r"2 .*instance ids, 1 to 4\?"),
        (gray(0, 1, 77), r"77 \(1 pixels\): another encoding"),
    ],
)
def test_unknown_values_come_with_a_guess(data: bytes, reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        MaskNumbers("two classes", {0: 0, 1: 1}).train_ids(data)


def test_numbers_given_by_colours_are_named() -> None:
    with pytest.raises(PictureError, match=r"mask of numbers \(L\).*classes\.yaml"):
        COLOURS.train_ids(gray(0, 1))


def test_black_and_white_may_be_stored_as_gray() -> None:
    encoding = MaskColours("black and white", {(0, 0, 0): 0, (255, 255, 255): 1})
    for data in (gray(0, 255), gray(0, 1, dtype=bool)):
        assert encoding.train_ids(data).tolist() == [[0, 1]]


@pytest.mark.parametrize("encoding", [NUMBERS, COLOURS])
def test_ink_is_refused(encoding: Encoding) -> None:
    with pytest.raises(PictureError, match="CMYK"):
        encoding.train_ids(saved(Image.new("CMYK", (2, 2)), "TIFF"))


def test_strays_are_counted_over_the_whole_mask() -> None:
    """1 % of 2000 rows may all lie in one band of rows, and are ignored there as well."""
    pixels = np.zeros((2000, 10, 3), np.uint8)
    pixels[0, :, 0] = pixels[1999, :, 0] = 9
    ids = COLOURS.train_ids(saved(Image.fromarray(pixels)))
    assert (ids == IGNORE).sum() == 20
    assert (ids[[0, 1999]] == IGNORE).all()
    pixels[:20] = 8
    with pytest.raises(PictureError, match=r"1\.1% .* most of them \(8, 8, 8\)"):
        COLOURS.train_ids(saved(Image.fromarray(pixels)))


def test_30000_pixels_square_are_refused_before_memory_is_taken() -> None:
    png = bytearray(gray(0))
    png[16:24] = (30_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    with pytest.raises(PictureError, match=r"30000x30000 pixels \(900 Mpx\)"):
        NUMBERS.train_ids(bytes(png))


@pytest.mark.parametrize("encoding", [NUMBERS, COLOURS])
def test_encodings_travel_to_other_processes(encoding: Encoding) -> None:
    data = saved(_palette())
    before = encoding.train_ids(data)
    sent = pickle.dumps(encoding)
    assert len(sent) < 2**17
    np.testing.assert_array_equal(pickle.loads(sent).train_ids(data), before)
