"""Folders that people make, and what they say."""

import pytest

from afdcd.data.own.folder_words import spot

CASES = {
    "images/train/a.jpg": ("picture", "train", "a"),
    "train/images/a.jpg": ("picture", "train", "a"),
    "Valid/Masks/a.png": ("mask", "val", "a"),
    "images/north/000.jpg": ("picture", None, "north/000"),
    "images/validation/north/000.jpg": ("picture", "val", "north/000"),
    "north/gt/000.png": ("mask", None, "000"),
    "img_dir/train/a1.jpg": ("picture", "train", "a1"),
    "ann_dir/train/a1_gt.png": ("mask", "train", "a1_gt"),
    "JPEGImages/x.jpg": ("picture", None, "x"),
    "SegmentationClass/x.png": ("mask", None, "x"),
    "train_labels/a.png": ("mask", "train", "a"),
    "valannot/a.png": ("mask", "val", "a"),
    "defaultannot/a.png": ("mask", None, "a"),
    "default/a.jpg": (None, None, "a"),
    "train2017/a.jpg": (None, "train", "a"),
    "label_images/a.png": ("mask", None, "a"),
    "CameraRGB/a.png": ("picture", None, "a"),
    "CameraSeg/a.png": ("mask", None, "a"),
    "images/photo_day1/a.jpg": ("picture", None, "photo_day1/a"),
    "images/test_track/a.jpg": ("picture", None, "test_track/a"),
    "training/image_2/a.png": ("picture", "train", "a"),
    "SegmentationObject/x.png": ("other", None, "x"),
    "SegmentationClassVisualization/x.jpg": ("other", None, "x"),
    "instances/x.png": ("other", None, "x"),
    "images/object/x.png": ("picture", None, "object/x"),
    "images/v1.2_mask.jpg": ("picture", None, "v1.2_mask"),
}


@pytest.mark.parametrize("file", CASES)
def test_folders_say_kind_and_split(file: str) -> None:
    found = spot(file)
    assert (found.kind, found.split, found.name) == CASES[file]


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("north/images/1.jpg", "north/masks/1.png"),
        ("images/north/1.jpg", "masks/north/1.png"),
        ("train/images/north/1.jpg", "masks/train/north/1.png"),
    ],
)
def test_pictures_and_masks_of_a_site_have_one_name(picture: str, mask: str) -> None:
    one, other = spot(picture), spot(mask)
    assert (one.above, one.name, one.split) == (other.above, other.name, other.split)


def test_names_from_a_mac_are_composed() -> None:
    assert spot("images/Mu\u0308nchen/u\u0308.jpg").name == "M\u00fcnchen/\u00fc"
