"""lightly-train's description: folders or patterns of masks, merged and ignored classes."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.data.own.forms.lightly_masks import lightly_masks
from tests.data.own.sets import made, recognised, shape, written

FILES = ["train/images/a.jpg", "val/images/b.jpg", "train/masks/a.png", "val/masks/b.png"]
SETS = """
train: {images: train/images, masks: MASKS}
val: {images: val/images, masks: MASKS}
"""
CLASSES = "classes: {0: background, 1: {name: road, labels: [1, 4]}, 2: no}\nignore_classes: [0]\n"
PATTERN = '"{image_path.parent.parent}/masks/{image_path.stem}.png"'


def _written(folder: Path, sets: str, classes: str = CLASSES) -> None:
    written(made(folder, *FILES), "config.yaml", sets + classes)


def test_folders_of_each_split(tmp_path: Path) -> None:
    sets = "path: /data/mine\ntrain: {images: train/images, masks: train/masks}\n"
    _written(tmp_path, f"{sets}val: {{images: val/images, masks: val/masks}}\n")
    found = recognised(lightly_masks, tmp_path)
    assert shape(found) == {
        "a": ("train/images/a.jpg", "train/masks/a.png", "train"),
        "b": ("val/images/b.jpg", "val/masks/b.png", "val"),
    }
    assert found.said.names == {1: "road", 4: "road", 2: "no"}
    assert found.said.ignored == {0}


def test_the_same_below_the_data_of_a_command(tmp_path: Path) -> None:
    sets = SETS.replace("MASKS", PATTERN) + CLASSES
    below = "".join(f"  {line}\n" for line in sets.splitlines() if line)
    _written(tmp_path, f"out: runs\ndata:\n{below}", "")
    found = recognised(lightly_masks, tmp_path)
    assert [item.split for item in found.items] == ["train", "val"]
    assert found.said.names == {1: "road", 4: "road", 2: "no"}
    _written(tmp_path, f"data:\n{below.replace('stem', 'stat')}", "")
    with pytest.raises(UserError, match=r"config\.yaml:2: data\.train\.masks"):
        recognised(lightly_masks, tmp_path)


def test_pattern_is_filled_in(tmp_path: Path) -> None:
    _written(tmp_path, SETS.replace("MASKS", PATTERN))
    assert {item.label for item in recognised(lightly_masks, tmp_path).items} == set(FILES[2:])


def test_pattern_is_never_evaluated(tmp_path: Path) -> None:
    _written(tmp_path, SETS.replace("MASKS", '"{image_path.__class__}/{image_path.stem}.png"'))
    with pytest.raises(UserError, match=r"config\.yaml:2: train\.masks: .*only image_path with"):
        recognised(lightly_masks, tmp_path)


def test_colours_of_a_class(tmp_path: Path) -> None:
    classes = "classes: {0: {name: road, labels: [[128, 64, 128], [1, 2, 3]]}}\n"
    _written(tmp_path, SETS.replace("MASKS", PATTERN), classes)
    assert recognised(lightly_masks, tmp_path).said.names == {
        (128, 64, 128): "road",
        (1, 2, 3): "road",
    }


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        ("classes: {0: {labels: [1]}}\n", "classes: expected"),
        ("classes: road\n", "classes: expected"),
        ("classes: {0: {name: a, labels: [1]}, 1: b}\n", "1 is of a and of b"),
    ],
)
def test_classes_that_do_not_tell(classes: str, reason: str, tmp_path: Path) -> None:
    _written(tmp_path, SETS.replace("MASKS", PATTERN), classes)
    with pytest.raises(UserError, match=reason):
        recognised(lightly_masks, tmp_path)
