"""Masks with a table of classes, as published sets and fast.ai have it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.own.forms.class_tables import class_tables
from afdcd.data.own.found import Hints
from afdcd.data.own.tree import Tree
from tests.data.own.sets import made, recognised, shape, written

FILES = ["train/a.png", "val/b.png", "train_labels/a_L.png", "val_labels/b_L.png"]
COLOURS = {(64, 128, 64): "Animal", (192, 0, 128): "Road Shoulder"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("class_dict.csv", "name,r,g,b\nAnimal,64,128,64\nRoad Shoulder,192,0,128\n"),
        (
            "class_dict.csv",
            "Name, R, G, B\r\nAnimal, 64, 128, 64\r\nRoad Shoulder, 192, 0, 128\r\n",
        ),
        ("labels_class_dict.csv", "class_names,r,g,b\nAnimal,64,128,64\nRoad Shoulder,192,0,128\n"),
        ("classes.csv", "r;g;b;class\n64;128;64;Animal\n192;0;128;Road Shoulder\n"),
        ("class_dict.csv", "Animal,64,128,64\nRoad Shoulder,192,0,128\n"),
        ("label_colors.txt", "64 128 64\tAnimal\n192 0 128\t\tRoad Shoulder\n"),
        ("label_colors.txt", "# r g b name\n64 128 64 Animal\n\n192 0 128 Road Shoulder\n"),
        ("label_colors.txt", "Animal 64 128 64\nRoad Shoulder 192 0 128\n"),
    ],
)
def test_colours(file: str, text: str, tmp_path: Path) -> None:
    written(made(tmp_path, *FILES), file, text)
    found = recognised(class_tables, tmp_path)
    assert list(found.said.names.items()) == list(COLOURS.items())
    assert (found.said.source, found.mask_suffix) == (file, "_L")
    assert {item.key: item.split for item in found.items} == {"a": "train", "b": "val"}


def test_cvat_camvid_export(tmp_path: Path) -> None:
    made(tmp_path, "default/x 1.jpg", "default/y.jpg", "defaultannot/x 1.png", "defaultannot/y.png")
    written(tmp_path, "label_colors.txt", "0 0 0 Void\n64 128 64 Animal\n")
    lines = "/default/x 1.jpg defaultannot/x 1.png\n/default/y.jpg /defaultannot/y.png\n"
    written(tmp_path, "default.txt", lines)
    found = recognised(class_tables, tmp_path)
    assert shape(found) == {
        "x 1": ("default/x 1.jpg", "defaultannot/x 1.png", None),
        "y": ("default/y.jpg", "defaultannot/y.png", None),
    }
    assert not found.refused and not found.unlisted


def test_datumaro_camvid_export_with_splits(tmp_path: Path) -> None:
    made(tmp_path, "train/x.jpg", "val/y.jpg", "trainannot/x.png", "valannot/y.png")
    written(tmp_path, "label_colors.txt", "0 0 0 Void\n")
    written(tmp_path, "train.txt", "/train/x.jpg trainannot/x.png\n")
    written(tmp_path, "val.txt", "/val/y.jpg valannot/y.png\n")
    found = recognised(class_tables, tmp_path)
    assert {item.key: item.split for item in found.items} == {"x": "train", "y": "val"}
    assert not found.refused


def test_fast_ai_codes_and_valid(tmp_path: Path) -> None:
    made(tmp_path, "images/a.png", "images/b.png", "labels/a_P.png", "labels/b_P.png")
    written(tmp_path, "codes.txt", "Animal\nBuilding\n\nVoid\n")
    written(tmp_path, "valid.txt", "b.png\n")
    found = recognised(class_tables, tmp_path)
    assert found.said.names == {0: "Animal", 1: "Building", 3: "Void"}  # the line is the number
    assert not found.said.ignored
    assert {item.key: item.split for item in found.items} == {"a": "train", "b": "val"}


@pytest.mark.parametrize("coloured", [True, False])
def test_table_of_both_is_read_as_the_masks_are(coloured: bool, tmp_path: Path) -> None:
    made(tmp_path, "images/a.jpg", "masks/a.png")
    written(tmp_path, "class_dict.csv", "id,name,r,g,b\n0,road,1,2,3\n7,car,4,5,6\n")
    shape = (2, 3, 3) if coloured else (2, 3)
    Image.fromarray(np.ones(shape, np.uint8)).save(tmp_path / "masks/a.png")
    said = recognised(class_tables, tmp_path).said
    assert list(said.names) == ([(1, 2, 3), (4, 5, 6)] if coloured else [0, 7])
    assert said.colours == {"road": (1, 2, 3), "car": (4, 5, 6)}


def test_a_digit_that_is_no_number_is_a_name(tmp_path: Path) -> None:
    written(made(tmp_path, *FILES), "class_dict.csv", "²,1\ncar,2\n")
    assert recognised(class_tables, tmp_path).said.names == {1: "²", 2: "car"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,r,g,b\ncar,1,2,300\n", r"class_dict\.csv:2: no class and its number or colour"),
        ("name,r,g,b\ncar,1,2\n", r"class_dict\.csv:2: no class"),
        ("name,colour\ncar,red\n", r"class_dict\.csv:2: no class"),
        ("name,r,g,b\na,1,2,3\nb,1,2,3\n", r"class_dict\.csv:3: \(1, 2, 3\) is of a and of b"),
        ("\n", r"class_dict\.csv: empty"),
    ],
)
def test_table_that_does_not_tell(text: str, reason: str, tmp_path: Path) -> None:
    written(made(tmp_path, *FILES), "class_dict.csv", text)
    with pytest.raises(UserError, match=reason):
        recognised(class_tables, tmp_path)


def test_table_without_masks_is_another_form(tmp_path: Path) -> None:
    written(made(tmp_path, "images/a.jpg"), "classes.csv", "of another tool\n")
    assert class_tables(Tree.of(tmp_path), Hints()) is None
