import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from afdcd.data.images import PictureError, decode, encode_jpeg, encode_png, to_rgb
from tests.running import ROOT
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
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "PostScript"),
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


def test_a_picture_beyond_the_limit_is_named_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _saved(Image.new("1", (20480, 10240)), "PNG")
    said = (
        r"20480x10240 pixels \(210 Mpx\), more than 200 Mpx: .*set AFDCD_MAX_MEGAPIXELS=210 where"
    )
    with pytest.raises(PictureError, match=said):
        decode(data)
    monkeypatch.setenv("AFDCD_MAX_MEGAPIXELS", "210")
    assert decode(data).size == (20480, 10240)


def test_the_limit_says_what_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_MAX_MEGAPIXELS", "0.0005")
    with pytest.raises(PictureError, match=r"30x20 pixels \(0.0006 Mpx\), more than 0.0005 Mpx"):
        decode(encode_png(PIXELS))
    assert decode(encode_png(PIXELS), judged=True).size == (30, 20)


def test_neither_size_nor_metadata_make_pillow_warn(tmp_path: Path) -> None:
    """In a process of its own: pytest keeps warnings to itself."""
    Image.new("1", (12000, 9000)).save(tmp_path / "large.png")  # above Pillow's first limit
    clear = Image.fromarray(PIXELS).convert("RGBA")
    clear.putpixel((3, 3), (200, 10, 10, 0))
    clear.quantize().save(tmp_path / "clear.png")
    for name in ("large.png", "clear.png"):
        program = (
            "import sys, pathlib; from afdcd.data.images import decode, to_rgb; "
            "to_rgb(decode(pathlib.Path(sys.argv[1]).read_bytes()))"
        )
        words = [sys.executable, "-c", program, str(tmp_path / name)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("step", "owner"), [("load", ImageFile.ImageFile), ("convert", Image.Image)]
)
def test_too_little_memory_names_the_size(
    step: str, owner: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    data = _saved(Image.fromarray(PIXELS), "BMP")
    monkeypatch.setattr(owner, step, exhausted)
    with pytest.raises(PictureError, match=r"30x20 pixels \(0.0006 Mpx\), too large for this.*: "):
        to_rgb(decode(data))


def test_a_jpeg_cannot_be_longer_than_its_format_allows() -> None:
    with pytest.raises(PictureError, match="66000x2 pixels, a JPEG has at most 65500 a side"):
        encode_jpeg(np.zeros((2, 66_000, 3), np.uint8), 90)


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
