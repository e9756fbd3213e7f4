"""Pictures and masks by name: every habit of naming, and what must not be guessed."""

import random
from collections.abc import Sequence

import pytest

from afdcd.config import UserError
from afdcd.data.own.folder_words import spot
from afdcd.data.own.pairing import Named, Paired, pair


def _named(files: Sequence[str]) -> list[Named]:
    return [Named(found.name, found.file, found.split) for found in map(spot, files)]


def paired(pictures: Sequence[str], masks: Sequence[str], suffix: str | None = None) -> Paired:
    return pair(_named(pictures), _named(masks), suffix)


def labels(found: Paired) -> dict[str, object]:
    return {item.key: item.label for item in found.items}


@pytest.mark.parametrize(
    "suffix",
    ["", "_mask", "_gt", "_label", "_L", "_P", "_seg", "_labelTrainIds", ".mask", " m", "-x"],
)
def test_suffix_is_found(suffix: str) -> None:
    pictures = [f"images/{name}.jpg" for name in ("a", "b 1", "c.d")]
    masks = [f"masks/{name}{suffix}.png" for name in ("a", "b 1", "c.d")]
    found = paired(pictures, masks)
    assert found.suffix == suffix
    assert labels(found) == {"a": masks[0], "b 1": masks[1], "c.d": masks[2]}
    assert not found.refused


def test_suffix_is_found_from_the_set_and_not_file_by_file() -> None:
    found = paired(
        ["images/v1.2_mask.jpg", "images/v1.2.jpg", "images/w.jpg"],
        ["masks/v1.2_mask_mask.png", "masks/v1.2_mask.png", "masks/w_mask.png"],
    )
    assert found.suffix == "_mask"
    assert labels(found) == {
        "v1.2": "masks/v1.2_mask.png",
        "v1.2_mask": "masks/v1.2_mask_mask.png",
        "w": "masks/w_mask.png",
    }


def test_order_of_listing_does_not_matter() -> None:
    pictures = [f"images/{f}/{i}.jpg" for f in ("s", "t") for i in range(5)]
    pictures += ["images/x.jpg", "images/x.png", "images/lonely.jpg"]
    masks = [f"masks/{f}/{i}_gt.png" for f in ("s", "t") for i in range(5)]
    masks += ["masks/y_gt.png", "masks/s/0_gt.tif"]
    expected = paired(pictures, masks)
    for seed in range(20):
        shuffle = random.Random(seed).shuffle
        shuffle(pictures)
        shuffle(masks)
        assert paired(pictures, masks) == expected


def test_same_stem_in_two_folders_is_kept_twice() -> None:
    found = paired(
        ["images/north/000.jpg", "images/south/000.jpg"],
        ["masks/north/000_mask.png", "masks/south/000_mask.png"],
    )
    assert labels(found) == {
        "north/000": "masks/north/000_mask.png",
        "south/000": "masks/south/000_mask.png",
    }


def test_two_pictures_of_one_stem_are_refused_with_both_names() -> None:
    found = paired(["images/a.jpg", "images/a.PNG", "images/b.jpg"], ["masks/a.png", "masks/b.png"])
    assert list(labels(found)) == ["b"]
    assert found.refused == ("images/a.PNG and images/a.jpg: 2 pictures of one name: keep one",)


def test_two_masks_of_one_stem_are_refused_with_both_names() -> None:
    found = paired(["images/a.jpg", "images/b.jpg"], ["masks/a.png", "masks/a.tif", "masks/b.png"])
    assert list(labels(found)) == ["b"]
    assert found.refused == ("masks/a.png and masks/a.tif: 2 masks of one name: keep one",)


def test_what_lacks_its_partner_is_told() -> None:
    found = paired(["images/n/a.JPG", "images/n/b.jpeg"], ["masks/n/a_gt.png", "masks/n/c_gt.png"])
    assert labels(found) == {"n/a": "masks/n/a_gt.png", "n/b": "masks/n/b_gt.png"}
    assert found.refused == (
        "masks/n/c_gt.png: no picture of this name: add it, or remove the mask",
    )


def test_missing_mask_is_looked_for_in_its_split() -> None:
    found = paired(
        ["images/train/a.jpg", "images/val/b.jpg", "images/val/c.jpg"],
        ["masks/train/a.png", "masks/val/b.png"],
    )
    assert labels(found)["c"] == "masks/val/c.png"


def test_one_file_for_each_class_is_refused_with_the_list() -> None:
    """Whether the car or the tree lies on top is in no file."""
    masks = ["masks/x_car.png", "masks/x_tree.png", "masks/y_car.png"]
    with pytest.raises(
        UserError, match=r"masks/x_car\.png, masks/x_tree\.png: several masks.*overlap"
    ):
        paired(["images/x.jpg", "images/y.jpg"], masks)
    found = paired(["images/x.jpg", "images/y.jpg"], masks, "_car")
    assert labels(found) == {"x": "masks/x_car.png", "y": "masks/y_car.png"}
    assert not found.refused


@pytest.mark.parametrize(
    ("pictures", "masks", "named"),
    [
        (["x", "y"], ["x_car", "y_tree"], r"x_car\.png, masks/y_tree\.png"),
        (["x"], ["x_0", "x_1"], r"x_0\.png, masks/x_1\.png"),
        (["x", "y"], ["x/car", "x/tree"], r"x/car\.png, masks/x/tree\.png"),
        (["x", "y"], ["car/x", "car/y", "tree/x"], r"car/x\.png, masks/tree/x\.png"),
        (["i/i", "j/j"], ["i/1", "i/2", "j/3"], r"i/1\.png, masks/i/2\.png"),
    ],
)
def test_several_masks_in_every_way_of_naming(
    pictures: list[str], masks: list[str], named: str
) -> None:
    with pytest.raises(UserError, match=rf"masks/{named}: several masks for one picture"):
        paired([f"images/{p}.jpg" for p in pictures], [f"masks/{m}.png" for m in masks])


def test_mask_beside_its_coloured_view_needs_the_ending() -> None:
    pictures, masks = ["images/x.jpg"], ["masks/x.png", "masks/x_color.png"]
    with pytest.raises(
        UserError, match=r"masks/x\.png, masks/x_color\.png: several.*--mask-suffix ''"
    ):
        paired(pictures, masks)
    assert labels(paired(pictures, masks, "")) == {"x": "masks/x.png"}


@pytest.mark.parametrize("orphan", ["11", "1_2", "1-007"])
def test_number_of_a_missing_frame_is_no_suffix(orphan: str) -> None:
    found = paired(["images/1.jpg", "images/2.jpg"], [f"masks/{n}.png" for n in ("1", "2", orphan)])
    assert found.suffix == ""
    assert len(found.refused) == 1
    assert f"masks/{orphan}.png: no picture" in found.refused[0]


def test_frame_without_picture_is_no_second_mask() -> None:
    found = paired(
        ["images/f.jpg", "images/f_1.jpg"],
        ["masks/f_mask.png", "masks/f_1_mask.png", "masks/f_2_mask.png"],
    )
    assert len(found.items) == 2
    assert found.refused == (
        "masks/f_2_mask.png: no picture of this name: add it, or remove the mask",
    )


def test_mask_named_unlike_the_others() -> None:
    found = paired(
        [f"images/{n}.jpg" for n in "abc"], ["masks/a_mask.png", "masks/b_mask.png", "masks/c.png"]
    )
    assert found.refused == ("masks/c.png: does not end in _mask as the other masks do: rename it",)
    assert labels(found)["c"] == "masks/c_mask.png"


def test_no_name_in_common() -> None:
    with pytest.raises(UserError, match=r"none of 1 masks.* e\.g\. a: .*--mask-suffix"):
        paired(["images/a.jpg"], ["masks/lbl7.png"])
    with pytest.raises(UserError, match=r"none of 1 masks .* '_gt'"):
        paired(["images/a.jpg"], ["masks/a.png"], "_gt")


def test_equal_stems_in_two_splits_keep_their_split_in_all_keys() -> None:
    found = paired(
        ["train/images/000.jpg", "val/images/000.jpg", "val/images/001.jpg"],
        ["train/masks/000.png", "val/masks/000.png", "val/masks/001.png"],
    )
    assert labels(found) == {
        "train/000": "train/masks/000.png",
        "val/000": "val/masks/000.png",
        "val/001": "val/masks/001.png",
    }


def test_only_one_side_is_split() -> None:
    found = paired(["images/train/a.jpg", "images/val/b.jpg"], ["masks/a.png", "masks/b.png"])
    assert {item.key: item.split for item in found.items} == {"a": "train", "b": "val"}
    found = paired(["images/a.jpg", "images/b.jpg"], ["masks/train/a.png", "masks/val/b.png"])
    assert {item.key: item.split for item in found.items} == {"a": "train", "b": "val"}


def test_test_pictures_without_masks_are_left_out_and_told() -> None:
    found = paired(
        ["train/images/a.jpg", "train/images/b.jpg", "test/images/c.jpg"], ["train/masks/a.png"]
    )
    assert labels(found) == {"a": "train/masks/a.png", "b": "train/masks/b.png"}
    assert found.unlisted == ("test/images/c.jpg",)
    assert found.remarks == ("1 pictures of a set without masks left out, e.g. test/images/c.jpg",)


def test_val_without_any_mask_is_missing_and_not_left_out() -> None:
    found = paired(["images/train/a.jpg", "images/val/b.jpg"], ["masks/train/a.png"])
    assert "b" in labels(found)


def test_decomposed_names_of_a_mac() -> None:
    found = paired(["images/u\u0308.jpg"], ["masks/\u00fc.png"])
    assert labels(found) == {"\u00fc": "masks/\u00fc.png"}
