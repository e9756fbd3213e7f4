import io
import re
import struct
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from afdcd.data.catalog.datasets import CAMVID, VOC
from afdcd.data.catalog.labels import Numbers
from afdcd.data.images import decode, to_rgb
from afdcd.data.pairs import Pair
from afdcd.data.prepare.check import Verdict, judge
from afdcd.data.prepare.storing import Storing
from tests.samples import SAMPLES, needs_samples

KEY = "0001TP_006690"
PAIR = Pair("train", KEY, f"train/{KEY}.png", f"trainannot/{KEY}.png")
ENCODING = Numbers("SegNet numbers", CAMVID.raw_to_train)
ANY_SIZE = replace(CAMVID, image_size=None)


def _judge(raw: Path, **storing: int) -> Verdict:
    return judge(raw, PAIR, ANY_SIZE, ENCODING, Storing(**storing))


def _save(raw: Path, pixels: np.ndarray, kind: str, **options: object) -> None:
    """Under the image's name: what a file is, its first bytes say."""
    Image.fromarray(pixels).save(raw / PAIR.image, kind, **options)


def test_good_pair_keeps_image_bytes_and_maps_the_label(raw: Path) -> None:
    verdict = _judge(raw)
    assert (verdict.offences, verdict.remarks) == ((), ())
    assert verdict.row is not None
    assert verdict.row.image == (raw / PAIR.image).read_bytes()
    assert (verdict.row.height, verdict.row.width) == (24, 32)
    original = np.asarray(Image.open(raw / PAIR.label))
    stored = decode(verdict.row.label)
    assert (stored.format, stored.mode) == ("PNG", "L")
    np.testing.assert_array_equal(np.asarray(stored), np.where(original == 11, 255, original))
    assert verdict.pixels.tolist() == np.bincount(original.ravel(), minlength=12).tolist()


def test_without_a_label_all_pixels_are_ignored(raw: Path) -> None:
    verdict = judge(raw, replace(PAIR, label=None), ANY_SIZE, ENCODING)
    assert verdict.row is not None
    assert np.asarray(decode(verdict.row.label)).tolist() == [[255] * 32] * 24
    assert verdict.pixels.tolist() == [*[0] * 11, 24 * 32]


def test_both_files_of_a_pair_are_reported(raw: Path) -> None:
    (raw / PAIR.image).unlink()
    (raw / PAIR.label).write_bytes(b"")
    verdict = _judge(raw)
    assert verdict.row is None
    assert verdict.pixels.sum() == 0
    image, label = verdict.offences
    assert image.startswith(f"{PAIR.image}: missing file: ")
    assert label.startswith(f"{PAIR.label}: empty file: ")


def test_sizes_must_agree(raw: Path) -> None:
    Image.fromarray(np.zeros((12, 16), dtype=np.uint8)).save(raw / PAIR.label)
    (offence,) = _judge(raw).offences
    assert offence.startswith(f"{PAIR.label}: 16x12 pixels, its image 32x24: ")


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_label_that_fits_the_stored_pixels_makes_orientation_a_remark(
    raw: Path, orientation: int
) -> None:
    _save(raw, np.zeros((24, 32, 3), np.uint8), "JPEG", exif=_exif(orientation))
    verdict = _judge(raw)
    assert verdict.row is not None
    assert (verdict.row.height, verdict.row.width) == (24, 32)
    expected = f"EXIF orientation {orientation} not applied: labels follow the stored pixels"
    assert verdict.remarks == (expected,)


@pytest.mark.parametrize("orientation", range(5, 9))
def test_a_label_that_fits_only_the_turned_picture_is_an_offence(
    raw: Path, orientation: int
) -> None:
    _save(raw, np.zeros((32, 24, 3), np.uint8), "JPEG", exif=_exif(orientation))
    (offence,) = _judge(raw).offences
    assert offence.startswith(
        f"{PAIR.image}: 24x32 pixels stored with EXIF orientation {orientation}, its label 32x24 "
        "fits only the turned picture: turn its pixels for good"
    )


@pytest.mark.parametrize("orientation", [1, 3])
def test_an_orientation_that_keeps_the_sides_does_not_explain_a_turned_label(
    raw: Path, orientation: int
) -> None:
    _save(raw, np.zeros((32, 24, 3), np.uint8), "JPEG", exif=_exif(orientation))
    (offence,) = _judge(raw).offences
    assert offence.startswith(f"{PAIR.label}: 32x24 pixels, its image 24x32: ")


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P"])
def test_other_image_modes_are_kept_and_remarked(raw: Path, mode: str) -> None:
    Image.open(raw / PAIR.image).convert(mode).save(raw / PAIR.image)
    verdict = _judge(raw)
    assert verdict.row is not None
    assert verdict.row.image == (raw / PAIR.image).read_bytes()
    assert verdict.remarks == (f"stored as {mode}, read as RGB",)


def test_sixteen_bit_images_and_profiles_are_remarked(raw: Path) -> None:
    _save(raw, np.full((24, 32), 40_000, np.uint16), "PNG")
    assert _judge(raw).remarks == ("stored as I;16, read as RGB",)
    _save(raw, np.full((24, 32), 4000, np.uint16), "PNG")
    range_ = "no value above 4095: read as 12 bits in 16"
    assert _judge(raw).remarks == ("stored as I;16, read as RGB", range_)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _save(raw, np.zeros((24, 32, 3), np.uint8), "JPEG", icc_profile=profile)
    assert _judge(raw).remarks == ("ICC profile not applied",)


def test_unpublished_size_is_remarked(raw: Path) -> None:
    verdict = judge(raw, PAIR, CAMVID, ENCODING)
    assert verdict.remarks == ("32x24 pixels, published 480x360",)


def test_pillow_s_warnings_become_one_remark_and_no_noise(raw: Path) -> None:
    tag = struct.pack("<HHLL", 270, 2, 4000, 26)  # a description of 4000 bytes that are not there
    damaged = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + tag + bytes(4)
    _save(raw, np.zeros((24, 32, 3), np.uint8), "JPEG", exif=damaged)
    with warnings.catch_warnings(record=True) as noise:
        warnings.simplefilter("always")
        verdict = _judge(raw)
    assert noise == []
    assert verdict.row is not None
    (remark,) = verdict.remarks
    assert remark.startswith("Pillow warns: ")
    assert not any(letter.isdigit() for letter in remark)  # so that equal ones are counted together


def test_a_picture_that_training_could_not_read_is_an_offence(raw: Path) -> None:
    _save(raw, np.full((24, 32), -1, np.float32), "TIFF")
    (offence,) = _judge(raw).offences
    assert offence.startswith(f"{PAIR.image}: values -1.0..-1.0, 0..255 expected: convert it")


def test_a_picture_that_no_jpeg_holds_is_an_offence(raw: Path) -> None:
    _save(raw, np.zeros((2, 66_000, 3), np.uint8), "PNG")
    Image.fromarray(np.zeros((2, 66_000), np.uint8)).save(raw / PAIR.label)
    assert _judge(raw).row is not None
    (offence,) = _judge(raw, jpeg_quality=90).offences
    assert "a JPEG has at most 65500 a side: use --max-side" in offence
    assert _judge(raw, jpeg_quality=90, max_side=1000).row is not None


def test_image_and_label_beyond_the_limit_are_offences(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDCD_MAX_MEGAPIXELS", "0.0001")
    for offence, name in zip(_judge(raw).offences, (PAIR.image, PAIR.label), strict=True):
        assert offence.startswith(f"{name}: 32x24 pixels (0.000768 Mpx), more than 0.0001 Mpx: ")


def test_too_little_memory_is_an_offence(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Storing, "image", exhausted)
    (offence,) = _judge(raw).offences
    assert offence == f"{PAIR.image}: too large for this machine's memory: scale it down"


def test_jpeg_keeps_full_colour_resolution(raw: Path) -> None:
    rows, columns = np.mgrid[:24, :32]
    checks = np.where((rows + columns)[:, :, None] % 2, [200, 40, 40], [40, 40, 200])
    _save(raw, checks.astype(np.uint8), "PNG")
    row = _judge(raw, jpeg_quality=95).row
    assert row is not None
    assert Image.open(io.BytesIO(row.image)).format == "JPEG"
    assert np.abs(to_rgb(decode(row.image)).astype(int) - checks).max() < 40


def test_max_side_averages_the_image_and_picks_from_the_label(raw: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (24, 33, 3), dtype=np.uint8)
    label = rng.integers(0, 12, (24, 33), dtype=np.uint8)
    _save(raw, image, "PNG")
    Image.fromarray(label).save(raw / PAIR.label)
    verdict = _judge(raw, max_side=11)
    assert verdict.row is not None
    assert (verdict.row.height, verdict.row.width) == (8, 11)
    stored = decode(verdict.row.image)
    assert stored.format == "PNG"
    mean = image.reshape(8, 3, 11, 3, 3).mean((1, 3))
    assert np.abs(np.asarray(stored) - mean).max() <= 1
    centres = np.where(label == 11, 255, label)[1::3, 1::3]
    np.testing.assert_array_equal(np.asarray(decode(verdict.row.label)), centres)
    assert verdict.pixels.sum() == 88


@pytest.mark.parametrize(("kind", "stored"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("BMP", "PNG")])
def test_max_side_keeps_the_kind_of_larger_images_and_the_bytes_of_others(
    raw: Path, kind: str, stored: str
) -> None:
    _save(raw, np.zeros((24, 32, 3), np.uint8), kind)
    larger, equal = _judge(raw, max_side=31).row, _judge(raw, max_side=32).row
    assert larger is not None
    assert equal is not None
    assert (decode(larger.image).format, decode(larger.image).size) == (stored, (31, 23))
    assert equal.image == (raw / PAIR.image).read_bytes()
    again = _judge(raw, max_side=31, jpeg_quality=80).row
    assert again is not None
    assert decode(again.image).format == "JPEG"


PITFALLS = SAMPLES / "pitfalls"
COCO_VALUES = Numbers("COCO-Stuff", {**{v: v for v in range(182)}, 255: 255})
VOC_INDICES = Numbers("VOC", VOC.raw_to_train, lookalikes={75: "a palette read as gray"})


@needs_samples
@pytest.mark.parametrize(
    ("image", "label", "encoding", "said"),
    [
        ("empty.png", "good_label.png", COCO_VALUES, "empty.png: empty file: fetch"),
        ("lfs_pointer.png", "good_label.png", COCO_VALUES, ".*: git-LFS pointer.*: run `git lfs"),
        ("truncated.jpg", "good_label.png", COCO_VALUES, ".*: truncated or damaged .*: fetch"),
        ("good_image.jpg", "empty.png", COCO_VALUES, "empty.png: empty file: fetch"),
        (
            "good_image.jpg",
            "lfs_pointer.png",
            COCO_VALUES,
            "lfs_.*: git-LFS pointer.*: run `git lfs",
        ),
        ("good_image.jpg", "good_image.jpg", COCO_VALUES, ".*: RGB label, one number.*: use"),
        (
            "good_image.jpg",
            "label_size_mismatch.png",
            COCO_VALUES,
            r"label_size.*: \d+x\d+ pixels, its image 320x240: use",
        ),
        (
            "good_image.jpg",
            "label_value_200.png",
            COCO_VALUES,
            r"label_v.*: label values of no class: 200 \(\d+ pixels\): another encoding\?",
        ),
        (
            "good_image.jpg",
            "voc_palette_as_luminance.png",
            VOC_INDICES,
            r"voc_.*: label values of no class: 75 \(.*: a palette read as gray",
        ),
    ],
)
def test_real_pitfalls_have_reasons_of_their_own(
    image: str, label: str, encoding: Numbers, said: str
) -> None:
    verdict = judge(PITFALLS, Pair("train", "x", image, label), ANY_SIZE, encoding)
    assert verdict.row is None
    (offence,) = verdict.offences
    assert re.match(said, offence)


@needs_samples
@pytest.mark.parametrize(("image", "mode"), [("gray.jpg", "L"), ("cmyk.jpg", "CMYK")])
def test_real_oddities_are_kept_and_remarked(image: str, mode: str) -> None:
    verdict = judge(PITFALLS, Pair("train", "x", image, "good_label.png"), ANY_SIZE, COCO_VALUES)
    assert verdict.row is not None
    assert verdict.row.image == (PITFALLS / image).read_bytes()
    assert f"stored as {mode}, read as RGB" in verdict.remarks
