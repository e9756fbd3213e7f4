"""Which list counts, which label of several, and labels that look right and are not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.catalog.datasets import VOC
from afdcd.data.images import PictureError, encode_png
from afdcd.data.raw.voc import find_voc
from tests.data.raw.layouts import LAYOUTS

DEVKIT = "VOCdevkit/VOC2012"
LISTS = f"{DEVKIT}/ImageSets/Segmentation"


def test_image_that_is_train_and_val_is_named(tmp_path: Path) -> None:
    LAYOUTS["voc gray aug"](tmp_path)
    with (tmp_path / LISTS / "train_aug.txt").open("a") as listing:
        listing.write("2011_003256\n")
    with pytest.raises(UserError, match=r"1 images are both train and val, e\.g\. 2011_003256:"):
        find_voc(tmp_path, VOC)


def test_a_list_that_was_cut_short_leaves_labels_over(tmp_path: Path) -> None:
    LAYOUTS["voc gray aug"](tmp_path)
    (tmp_path / LISTS / "train_aug.txt").write_text("2007_000032\n")
    layout = find_voc(tmp_path, VOC)
    assert [pair.key for pair in layout.pairs if pair.split == "train"] == ["2007_000032"]
    left = sorted({Path(path).stem for path in layout.unlisted})
    assert left == ["2008_000003", "2008_000008", "2011_003246"]


def test_list_of_what_is_added_counts_more_than_the_folder(tmp_path: Path) -> None:
    LAYOUTS["voc aug.txt"](tmp_path)
    (tmp_path / LISTS / "aug.txt").write_text("2008_000008\n")
    layout = find_voc(tmp_path, VOC)
    keys = [pair.key for pair in layout.pairs if pair.split == "train"]
    assert keys == ["2007_000032", "2008_000003", "2008_000008"]
    assert [Path(path).stem for path in layout.unlisted] == ["2011_003246"]


def test_listed_key_without_files_is_a_pair_that_misses_them(tmp_path: Path) -> None:
    LAYOUTS["voc sbd"](tmp_path)
    (tmp_path / LISTS / "train_aug.txt").write_text("2009_000001\n")
    (pair,) = (pair for pair in find_voc(tmp_path, VOC).pairs if pair.split == "train")
    assert pair.image == f"{DEVKIT}/JPEGImages/2009_000001.jpg"
    assert pair.label == "benchmark_RELEASE/dataset/cls/2009_000001.mat"


def test_official_images_alone_say_so(tmp_path: Path) -> None:
    LAYOUTS["voc official"](tmp_path)
    assert "official train images only (no SegmentationClassAug" in find_voc(tmp_path, VOC).name
    (tmp_path / LISTS / "train.txt").unlink()
    (tmp_path / LISTS / "trainval.txt").write_text("2007_000032\n2007_000033\n2011_003256\n")
    keys = [(pair.split, pair.key) for pair in find_voc(tmp_path, VOC).pairs]
    assert keys == [("train", "2007_000032"), ("val", "2007_000033"), ("val", "2011_003256")]


@pytest.mark.parametrize("layout", ["voc aug without its list", "voc sbd", "voc official"])
def test_without_lists_val_cannot_be_told(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    (tmp_path / LISTS / "val.txt").unlink()
    if layout == "voc official":
        (tmp_path / LISTS / "train.txt").unlink()
    with pytest.raises(UserError, match=r"without lists.*ImageSets/Segmentation/.*VOCtrainval"):
        find_voc(tmp_path, VOC)


def test_line_of_two_different_pictures_is_refused(tmp_path: Path) -> None:
    LAYOUTS["voc lists with slashes"](tmp_path)
    listing = tmp_path / "ImageSets/SegmentationAug/train_aug.txt"
    listing.write_text("/JPEGImages/2007_000032.jpg /SegmentationClassAug/2008_000003.png\n")
    with pytest.raises(UserError, match=r"train_aug\.txt:1: expected a name"):
        find_voc(tmp_path, VOC)


def test_official_label_comes_before_the_one_without_borders(tmp_path: Path) -> None:
    LAYOUTS["voc gray aug"](tmp_path)
    labels = {pair.key: str(pair.label) for pair in find_voc(tmp_path, VOC).pairs}
    assert labels["2007_000032"] == f"{DEVKIT}/SegmentationClass/2007_000032.png"
    assert labels["2008_000008"] == f"{DEVKIT}/SegmentationClassAug/2008_000008.png"


def test_palette_read_as_gray_is_named(tmp_path: Path) -> None:
    encoding = find_voc(LAYOUTS["voc gray aug"](tmp_path).source, VOC).encoding
    label = Image.fromarray(np.array([[0, 2, 15, 255]], np.uint8))
    label.putpalette([channel for index in range(256) for channel in _colour(index)])
    with pytest.raises(
        PictureError, match=r"75 \(1 pixels\), 147 .*220 .*palette colours read as gray"
    ):
        encoding.train_ids(encode_png(np.asarray(label.convert("L"))))


def _colour(index: int) -> tuple[int, int, int]:
    return (224, 224, 192) if index == 255 else VOC.palette[index % 21]


@pytest.mark.parametrize("cut", [20, 128, 200, -30])
def test_mat_that_was_cut_off(cut: int, tmp_path: Path) -> None:
    encoding = find_voc(LAYOUTS["voc sbd"](tmp_path).source, VOC).encoding
    data = next(tmp_path.rglob("*.mat")).read_bytes()
    with pytest.raises(PictureError, match=r"\.mat|GTcls"):
        encoding.train_ids(data[:cut])
    with pytest.raises(PictureError, match="git-LFS pointer"):
        encoding.train_ids(b"version https://git-lfs.github.com/spec/v1\n")
