"""Folders of pictures and masks, as people lay them out."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.data.own.forms.mask_folders import mask_folders
from afdcd.data.own.found import Found, Hints
from afdcd.data.own.tree import Tree
from tests.data.own.sets import agrees_with_sample, made, recognised, shape, written
from tests.samples import SAMPLES, needs_samples

# Files of a set -> what its pictures are called and which split they are of.
LAYOUTS = {
    "kinds above splits": (
        ["images/train/a.jpg", "images/val/b.jpg", "masks/train/a.png", "masks/val/b.png"],
        {"a": "train", "b": "val"},
    ),
    "splits above kinds": (
        ["training/img/a.jpg", "valid/img/b.jpg", "training/mask/a.png", "valid/mask/b.png"],
        {"a": "train", "b": "val"},
    ),
    "a folder above all": (
        ["set1/images/a.jpg", "set1/images/b.jpg", "set1/gt/a.png", "set1/gt/b.png"],
        {"a": None, "b": None},
    ),
    "places below kinds": (
        ["images/n/0.jpg", "images/s/0.jpg", "labels/n/0.png", "labels/s/0.png"],
        {"n/0": None, "s/0": None},
    ),
    "places above kinds": (
        ["n/images/0.jpg", "s/images/0.jpg", "n/labels/0.png", "s/labels/0.png"],
        {"n/0": None, "s/0": None},
    ),
    "Carvana": (
        [
            "train/a_01.jpg",
            "train/a_02.jpg",
            "train_masks/a_01_mask.png",
            "train_masks/a_02_mask.png",
        ],
        {"a_01": "train", "a_02": "train"},
    ),
    "masks beside pictures": (
        ["a.jpg", "b.JPEG", "a.png", "b.png"],
        {"a": None, "b": None},
    ),
    "masks beside pictures, all PNG": (
        ["train/a.png", "dev/b.png", "train/a_mask.png", "dev/b_mask.png"],
        {"a": "train", "b": "val"},
    ),
    "masks beside pictures of two formats": (
        ["a.jpg", "b.png", "a_seg.png", "b_seg.png"],
        {"a": None, "b": None},
    ),
    "masks beside pictures in their folder": (
        ["images/a.tif", "images/b.webp", "images/a_gt.png", "images/b_gt.png"],
        {"a": None, "b": None},
    ),
    "VOC without a label map": (
        ["JPEGImages/a.jpg", "SegmentationClass/a.png", "SegmentationObject/a.png"],
        {"a": None},
    ),
    "what is in all folders says no kind": (
        [
            "my_masks/train/a.jpg",
            "my_masks/val/b.jpg",
            "my_masks/train_gt/a.png",
            "my_masks/val_gt/b.png",
        ],
        {"a": "train", "b": "val"},
    ),
    "what a desktop leaves": (
        ["images/a.jpg", "images/._a.jpg", "__MACOSX/images/a.jpg", "masks/a.png"],
        {"a": None},
    ),
}


def _found(folder: Path, suffix: str | None = None) -> Found:
    return recognised(mask_folders, folder, suffix)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_is_seen_through(layout: str, tmp_path: Path) -> None:
    files, splits = LAYOUTS[layout]
    found = _found(made(tmp_path, *files))
    assert {item.key: item.split for item in found.items} == splits
    assert not found.refused
    for item in found.items:
        image, label = str(item.image), str(item.label)
        assert {image, label} <= set(files)
        assert Path(label).stem.startswith(Path(image).stem)
    assert not found.said.names  # what a number means only a person knows


@pytest.mark.parametrize(
    ("pictures", "masks", "suffix"),
    [
        (["images/img_1.png", "images/img_2.png"], ["masks/mask_1.png", "masks/mask_2.png"], ""),
        (["images/img_1.jpg", "images/img_2.jpg"], ["masks/1.png", "masks/2.png"], ""),
        (["1_sat.jpg", "2_sat.jpg"], ["1_mask.png", "2_mask.png"], "_mask"),
    ],
)
def test_words_of_the_kind_in_both_names(
    pictures: list[str], masks: list[str], suffix: str, tmp_path: Path
) -> None:
    """Keys stay the names of the pictures; that something was cut off is told."""
    found = _found(made(tmp_path, *pictures, *masks))
    keys = [Path(picture).stem for picture in pictures]
    expected = zip(keys, pictures, masks, strict=True)
    assert shape(found) == {key: (image, label, None) for key, image, label in expected}
    assert found.mask_suffix == suffix
    assert pictures[0] in found.remarks[0]
    assert (masks[0] in found.remarks[0]) == masks[0].startswith("masks/mask_")


def test_mask_that_is_missing_is_called_by_its_own_word(tmp_path: Path) -> None:
    made(tmp_path, "images/img_1.png", "images/img_2.png", "masks/mask_1.png")
    assert shape(_found(tmp_path))["img_2"][1] == "masks/mask_2.png"


def test_a_folder_of_masks_for_each_picture(tmp_path: Path) -> None:
    made(tmp_path, "images/a.jpg", "masks/a/car.png", "masks/a/tree.png")
    with pytest.raises(
        UserError, match=r"masks/a/car\.png, masks/a/tree\.png: several masks for one"
    ):
        _found(tmp_path)


def test_suffix_may_be_given_with_the_ending_of_the_file(tmp_path: Path) -> None:
    made(tmp_path, "images/a.jpg", "masks/a_mask.png", "masks/a_color.png")
    assert list(shape(_found(tmp_path, "_mask.png"))) == ["a"]


@pytest.mark.parametrize(
    "files",
    [
        ["a.jpg", "b.jpg"],
        ["images/a.jpg", "images/b.jpg"],
        ["cat.jpg", "cat_black.jpg", "dog.jpg", "owl.jpg", "fox.jpg"],
        ["frame.png", "frame_1.png", "frame_2.png"],
        ["a.jpg", "x.png", "y.png", "z.png"],
        ["a.jpg", "a.png", "x.png", "y.png", "z.png"],
    ],
)
def test_pictures_alone_are_no_data_set(files: list[str], tmp_path: Path) -> None:
    assert mask_folders(Tree.of(made(tmp_path, *files)), Hints()) is None


def test_lists_say_the_split(tmp_path: Path) -> None:
    made(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a_gt.png", "masks/b_gt.png")
    written(tmp_path, "train.txt", "images/a.jpg masks/a_gt.png\n")
    written(tmp_path, "val.txt", "images/b.jpg\n")
    assert {item.key: item.split for item in _found(tmp_path).items} == {"a": "train", "b": "val"}


def test_suffix_of_ones_own(tmp_path: Path) -> None:
    made(tmp_path, "images/a.jpg", "masks/aXY.png")
    with pytest.raises(UserError, match="--mask-suffix"):
        _found(tmp_path)
    assert shape(_found(tmp_path, "XY")) == {"a": ("images/a.jpg", "masks/aXY.png", None)}


def test_two_folders_of_masks_are_asked_about(tmp_path: Path) -> None:
    made(tmp_path, "images/a.jpg", "labels/a.png", "labels_rgb/a.png")
    with pytest.raises(
        UserError, match=r"labels/a\.png and labels_rgb/a\.png: two folders of masks"
    ):
        _found(tmp_path)


def test_gif_masks_need_converting(tmp_path: Path) -> None:
    """A writer of GIF may call the same class 0 in one file and 1 in the next."""
    made(tmp_path, "train/a.jpg", "train_masks/a_mask.gif")
    with pytest.raises(UserError, match=r"1 masks are GIF.*mogrify"):
        _found(tmp_path)


def test_jpeg_masks_are_paired_and_judged_later(tmp_path: Path) -> None:
    found = _found(made(tmp_path, "images/a.jpg", "masks/a.jpg"))
    assert shape(found) == {"a": ("images/a.jpg", "masks/a.jpg", None)}


@needs_samples
def test_sample() -> None:
    found = _found(SAMPLES / "own/mask_folders/source")
    assert found.mask_suffix == "_mask"
    agrees_with_sample("mask_folders", found, {0: "ground", 1: "car", 2: "tree"}, ignored={255})


def test_suffix_is_asked_for_where_pictures_have_one_too(tmp_path: Path) -> None:
    """As in Cityscapes, whose masks are of three kinds."""
    pictures = [f"leftImg8bit/train/u/{k}_leftImg8bit.png" for k in "ab"]
    kinds = ("labelIds", "instanceIds", "color")
    masks = [f"gtFine/train/u/{k}_gtFine_{kind}.png" for k in "ab" for kind in kinds]
    made(tmp_path, *pictures, *masks)
    with pytest.raises(UserError, match="several masks"):
        _found(tmp_path)
    found = _found(tmp_path, "_gtFine_labelIds")
    assert shape(found)["u/a_leftImg8bit"] == (pictures[0], masks[0], "train")
