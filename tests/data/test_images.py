import io

import numpy as np
import pytest
from PIL import Image

from afdcd.data.images import PictureError, decode, encode_jpeg, encode_png, to_rgb
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
