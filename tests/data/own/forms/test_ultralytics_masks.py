"""`data.yaml` with `masks_dir`: whose disk it was written on does not matter."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.data.own.forms.ultralytics_masks import ultralytics_masks
from afdcd.data.own.found import Hints, Said
from afdcd.data.own.tree import Tree
from tests.data.own.sets import agrees_with_sample, made, recognised, shape, written
from tests.samples import SAMPLES, needs_samples

FILES = ["images/train/a.jpg", "images/val/b.jpg", "masks/train/a.png", "masks/val/b.png"]
NAMES = "names: [ground, no, 1]\n"
EXPECTED = {
    "a": ("images/train/a.jpg", "masks/train/a.png", "train"),
    "b": ("images/val/b.jpg", "masks/val/b.png", "val"),
}


@pytest.mark.parametrize(
    "paths",
    [
        "path: .\ntrain: images/train\nval: images/val\n",
        "path: /home/me/datasets/mine\ntrain: images/train\nval: images/val\n",
        "train: ../images/train\nval: ../images/val\n",
        "train: /home/me/mine/images/train\nval: /home/me/mine/images/val\n",
        "path: C:\\data\ntrain: images\\train\nval: images\\val\n",
        "train: [images/train]\nvalid: images/val\ntest:\n",
        "train: images/train\nval: images/val\ntest: images/test\n",
    ],
)
@pytest.mark.parametrize("above", ["", "mine/"])
def test_folders_are_found_below_the_file(paths: str, above: str, tmp_path: Path) -> None:
    made(tmp_path / above, *FILES)
    written(tmp_path, f"{above}data.yaml", f"{paths}masks_dir: masks\n{NAMES}")
    found = recognised(ultralytics_masks, tmp_path)
    assert shape(found) == {
        key: (f"{above}{image}", f"{above}{label}", split)
        for key, (image, label, split) in EXPECTED.items()
    }


def test_lists_of_pictures_in_place_of_folders(tmp_path: Path) -> None:
    made(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a.png", "masks/b.png")
    written(tmp_path, "train.txt", "./images/a.jpg\n")
    written(tmp_path, "val.txt", "./images/b.jpg\n")
    written(tmp_path, "data.yaml", f"train: train.txt\nval: val.txt\nmasks_dir: masks\n{NAMES}")
    found = recognised(ultralytics_masks, tmp_path)
    assert {item.key: item.split for item in found.items} == {"a": "train", "b": "val"}


def _said(tmp_path: Path, more: str) -> Said:
    made(tmp_path, *FILES)
    text = f"train: images/train\nval: images/val\nmasks_dir: masks\n{more}"
    written(tmp_path, "data.yaml", text)
    return recognised(ultralytics_masks, tmp_path).said


def test_names_are_words_and_255_is_ignored(tmp_path: Path) -> None:
    said = _said(tmp_path, NAMES)
    assert said.names == {0: "ground", 1: "no", 2: "1"}
    assert said.ignored == {255}


def test_mapping_says_what_numbers_mean_and_others_mean_themselves(tmp_path: Path) -> None:
    mapping = "{-1: ignore_label, 0: ignore_label, 7: 0, 26: 1, 27: 1, 30: 255}"
    said = _said(tmp_path, f"names: {{1: car, 0: ground}}\nlabel_mapping: {mapping}\n")
    assert list(said.names.items()) == [(7, "ground"), (26, "car"), (27, "car"), (1, "car")]
    assert said.ignored == {0, 30, 255}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("nc: 3\n", "no names of classes"),
        (f"{NAMES}label_mapping: {{7: 9}}\n", "9 is no number of names"),
        (f"{NAMES}label_mapping: {{7: car}}\n", "label_mapping: expected"),
    ],
)
def test_what_does_not_tell_is_refused(more: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=reason):
        _said(tmp_path, more)


def test_folder_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    made(tmp_path, *FILES)
    text = f"train: images/train\nval: ../../etc\nmasks_dir: masks\n{NAMES}"
    written(tmp_path, "data.yaml", text)
    with pytest.raises(UserError, match=r"data\.yaml:2: val: \.\./\.\./etc: no such folder"):
        recognised(ultralytics_masks, tmp_path)


def test_folder_of_another_name_is_not_taken_for_it(tmp_path: Path) -> None:
    made(tmp_path, *FILES, "val/z.jpg")
    text = f"train: images/train\nval: pictures/val\nmasks_dir: masks\n{NAMES}"
    written(tmp_path, "data.yaml", text)
    with pytest.raises(UserError, match=r"pictures/val: no such folder"):
        recognised(ultralytics_masks, tmp_path)


def test_polygons_are_another_form(tmp_path: Path) -> None:
    written(made(tmp_path, *FILES), "data.yaml", f"train: images/train\n{NAMES}")
    written(tmp_path, "broken.yaml", "a: [")
    assert ultralytics_masks(Tree.of(tmp_path), Hints()) is None


@needs_samples
def test_sample() -> None:
    found = recognised(ultralytics_masks, SAMPLES / "own/ultralytics_masks/source")
    agrees_with_sample("ultralytics_masks", found, found.said.names)
