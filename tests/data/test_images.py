import io

import numpy as np
import pytest
from PIL import Image

from afdcd.data.catalog import CAMVID
from afdcd.data.images import PictureError, decode, encode_jpeg, encode_png, to_rgb, to_train_ids
from tests.samples import SAMPLES, needs_samples

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git-LFS pointer"),
        (b"\n  <!DOCTYPE html><html><body>Sign in</body></html>", "HTML page"),
        (b"plain text", "no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "no picture"),
        (encode_png(PIXELS)[:-400], "truncated"),
        (encode_jpeg(PIXELS, 95)[:-200], "truncated"),
    ],
)
def test_names_what_is_wrong_and_what_to_do(data: bytes, reason: str) -> None:
    with pytest.raises(PictureError, match=reason + ".*: .+") as error:
        decode(data)
    assert "\n" not in str(error.value)


def test_flipped_bit_in_a_png_is_found() -> None:
    data = bytearray(encode_png(PIXELS))
    data[len(data) // 2] ^= 1
    with pytest.raises(PictureError, match="damaged"):
        decode(bytes(data))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(to_rgb(decode(_saved(image, kind))), expected)


def test_sixteen_bit_gray_keeps_its_brightness() -> None:
    gray = PIXELS[:, :, 0]
    for values in (gray.astype(np.uint16), gray.astype(np.uint16) * 256 + 7):
        rgb = to_rgb(decode(_saved(Image.fromarray(values), "PNG")))
        np.testing.assert_array_equal(rgb, np.stack([gray] * 3, axis=2))


def test_exif_orientation_is_not_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to view
    data = _saved(Image.fromarray(PIXELS), "JPEG", exif=exif)
    assert to_rgb(decode(data)).shape == PIXELS.shape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_values_become_train_ids(dtype: type) -> None:
    values = np.array([[0, 10, 11], [255, 3, 3]], dtype=dtype)
    ids = to_train_ids(decode(_saved(Image.fromarray(values), "PNG")), CAMVID.raw_to_train)
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[0, 10, 255], [255, 3, 3]]


def test_palette_label_counts_by_index_not_by_colour() -> None:
    label = Image.fromarray(np.array([[1, 2]], dtype=np.uint8)).convert("P")
    label.putpalette([200, 200, 200] * 256)
    ids = to_train_ids(decode(_saved(label, "PNG")), CAMVID.raw_to_train)
    assert ids.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("values", "listed"),
    [
        (
            np.array([[1, 12, 12], [200, 0, 0]], dtype=np.uint8),
            r"12 \(2 pixels\), 200 \(1 pixels\)",
        ),
        (np.array([[1, 300]], dtype=np.uint16), r"300 \(1 pixels\)"),
    ],
)
def test_values_of_no_class_are_listed_with_counts(values: np.ndarray, listed: str) -> None:
    with pytest.raises(PictureError, match=listed):
        to_train_ids(Image.fromarray(values), CAMVID.raw_to_train)


def test_colour_label_is_refused() -> None:
    with pytest.raises(PictureError, match="RGB label, one number per pixel expected"):
        to_train_ids(Image.fromarray(PIXELS), CAMVID.raw_to_train)


@needs_samples
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.png", "empty file"),
        ("lfs_pointer.png", "git-LFS pointer"),
        ("truncated.jpg", "truncated"),
    ],
)
def test_real_unusable_files(name: str, reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        decode((SAMPLES / "pitfalls" / name).read_bytes())


@needs_samples
@pytest.mark.parametrize("name", ["good_image.jpg", "gray.jpg", "cmyk.jpg"])
def test_real_images_of_any_mode(name: str) -> None:
    rgb = to_rgb(decode((SAMPLES / "pitfalls" / name).read_bytes()))
    assert rgb.shape == (240, 320, 3)
    assert 40 < rgb.mean() < 215  # a CMYK file read without its inversion is nearly black or white


@needs_samples
def test_real_label_with_a_foreign_value() -> None:
    table = {v: v for v in (71, 72, 73, 75, 109, 129, 138, 142, 171, 179, 255)}
    pitfalls = SAMPLES / "pitfalls"
    to_train_ids(decode((pitfalls / "good_label.png").read_bytes()), table)
    with pytest.raises(PictureError, match=r"200 \(\d+ pixels\)"):
        to_train_ids(decode((pitfalls / "label_value_200.png").read_bytes()), table)
    voc = {**{v: v for v in range(21)}, 255: 255}
    to_train_ids(decode((pitfalls / "voc_palette.png").read_bytes()), voc)
    with pytest.raises(PictureError, match=r"75 \(\d+ pixels\), 147"):
        to_train_ids(decode((pitfalls / "voc_palette_as_luminance.png").read_bytes()), voc)
