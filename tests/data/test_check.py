import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.data.catalog import CAMVID
from afdcd.data.check import judge
from afdcd.data.convert.pairs import Pair
from afdcd.data.images import decode, to_rgb

KEY = "0001TP_006690"
PAIR = Pair("train", KEY, f"train/{KEY}.png", f"trainannot/{KEY}.png")


def test_good_pair_keeps_image_bytes_and_maps_the_label(raw: Path) -> None:
    verdict = judge(raw, PAIR, CAMVID)
    assert verdict.offences == ()
    assert verdict.row is not None
    assert verdict.row.image == (raw / PAIR.image).read_bytes()
    assert (verdict.row.height, verdict.row.width) == (24, 32)
    original = np.asarray(Image.open(raw / PAIR.label))
    stored = decode(verdict.row.label)
    assert (stored.format, stored.mode) == ("PNG", "L")
    np.testing.assert_array_equal(np.asarray(stored), np.where(original == 11, 255, original))
    assert verdict.pixels.tolist() == np.bincount(original.ravel(), minlength=12).tolist()


def test_both_files_of_a_pair_are_reported(raw: Path) -> None:
    (raw / PAIR.image).unlink()
    (raw / PAIR.label).write_bytes(b"")
    verdict = judge(raw, PAIR, CAMVID)
    assert verdict.row is None
    assert verdict.pixels.sum() == 0
    image, label = verdict.offences
    assert image.startswith(f"{PAIR.image}: missing file: ")
    assert label.startswith(f"{PAIR.label}: empty file: ")


def test_sizes_must_agree(raw: Path) -> None:
    Image.fromarray(np.zeros((12, 16), dtype=np.uint8)).save(raw / PAIR.label)
    (offence,) = judge(raw, PAIR, CAMVID).offences
    assert offence.startswith(f"{PAIR.label}: 16x12 pixels, its image 32x24: ")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_other_image_modes_are_kept_and_remarked(raw: Path, mode: str) -> None:
    Image.open(raw / PAIR.image).convert(mode).save(raw / PAIR.image)
    verdict = judge(raw, PAIR, CAMVID)
    assert verdict.row is not None
    assert verdict.row.image == (raw / PAIR.image).read_bytes()
    assert f"stored as {mode}, read as RGB" in verdict.remarks


def test_unpublished_size_is_remarked(raw: Path) -> None:
    assert judge(raw, PAIR, CAMVID).remarks == ("32x24 pixels, published 480x360",)


def test_jpeg_keeps_full_colour_resolution(raw: Path) -> None:
    rows, columns = np.mgrid[:24, :32]
    checks = np.where((rows + columns)[:, :, None] % 2, [200, 40, 40], [40, 40, 200])
    Image.fromarray(checks.astype(np.uint8)).save(raw / PAIR.image)
    row = judge(raw, PAIR, CAMVID, jpeg_quality=95).row
    assert row is not None
    assert Image.open(io.BytesIO(row.image)).format == "JPEG"
    assert np.abs(to_rgb(decode(row.image)).astype(int) - checks).max() < 40
