"""Labels that are shifted already, and pictures of another edition."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.catalog.datasets import ADE20K
from afdcd.data.images import PictureError, encode_png
from afdcd.data.raw.ade20k import find_ade20k
from tests.data.raw.layouts import LAYOUTS


def _png(*values: int) -> bytes:
    return encode_png(np.array([values], np.uint8))


def test_challenge_labels_win_over_shifted_ones(tmp_path: Path) -> None:
    LAYOUTS["ade20k detectron2"](tmp_path)
    assert "annotations_detectron2/" in find_ade20k(tmp_path, ADE20K).name
    LAYOUTS["ade20k"](tmp_path)
    assert "annotations/" in find_ade20k(tmp_path, ADE20K).name


@pytest.mark.parametrize(
    ("layout", "values", "reason"),
    [
        ("ade20k", (0, 149, 255), r"255 \(1 pixels\): classes from 0 .*detectron2"),
        ("ade20k detectron2", (0, 150, 255), r"150 \(1 pixels\): classes from 1"),
        ("ade20k detectron2", (0, 201, 255), r"201 \(1 pixels\): the 847 classes"),
        ("ade20k full 2016", (0, 1, 2), "L label, RGB expected"),
    ],
)
def test_labels_of_another_edition(
    layout: str, values: tuple[int, ...], reason: str, tmp_path: Path
) -> None:
    encoding = find_ade20k(LAYOUTS[layout](tmp_path).source, ADE20K).encoding
    with pytest.raises(PictureError, match=reason):
        encoding.train_ids(_png(*values))


def test_photograph_is_no_label_of_the_full_edition(tmp_path: Path) -> None:
    encoding = find_ade20k(LAYOUTS["ade20k full 2021"](tmp_path).source, ADE20K).encoding
    with pytest.raises(PictureError, match="class 6655 of 3688"):
        encoding.train_ids(encode_png(np.full((2, 2, 3), 255, np.uint8)))


def test_class_outside_the_150_is_ignored(tmp_path: Path) -> None:
    encoding = find_ade20k(LAYOUTS["ade20k full 2021"](tmp_path).source, ADE20K).encoding
    wall, licence_plate = 2978, 1397
    pixels = [
        [wall // 256 * 10 + 9, wall % 256, 5],
        [licence_plate // 256 * 10, licence_plate % 256, 0],
    ]
    assert encoding.train_ids(encode_png(np.array([pixels], np.uint8))).tolist() == [[0, 255]]


def test_images_of_the_challenge_without_labels_are_refused(tmp_path: Path) -> None:
    """They look like the full edition, whose labels lie beside the images."""
    LAYOUTS["ade20k"](tmp_path)
    (tmp_path / "annotations").rename(tmp_path / "labels")
    with pytest.raises(
        UserError, match=r"images/training/ \(there\).*annotations/training/ \(missing\)"
    ):
        find_ade20k(tmp_path, ADE20K)


def test_test_pictures_beside_the_unpacked_folder(tmp_path: Path) -> None:
    LAYOUTS["ade20k"](tmp_path)
    (tmp_path / "images" / "testing").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "images" / "testing" / "ADE_test_00000002.jpg")
    tests = [pair for pair in find_ade20k(tmp_path, ADE20K).pairs if pair.split == "test"]
    assert [(pair.key, pair.label) for pair in tests] == [("ADE_test_00000002", None)]
