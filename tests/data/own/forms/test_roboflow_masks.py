"""Roboflow's masks: one table for each split, and they must agree."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.data.own.forms.roboflow_masks import roboflow_masks
from afdcd.data.own.found import Hints
from afdcd.data.own.tree import Tree
from tests.data.own.sets import made, recognised, shape, written

STEMS = {"train": "x_jpg.rf.0123456789abcdef0123456789abcdef", "valid": "y", "test": "z"}
TABLE = "Pixel Value, Class\n0, background\n1, road sign\n"


def _made(folder: Path) -> Path:
    for split, stem in STEMS.items():
        made(folder, f"{split}/{stem}.jpg", f"{split}/{stem}_mask.png")
        written(folder, f"{split}/_classes.csv", TABLE)
    return folder


def test_pictures_masks_and_classes(tmp_path: Path) -> None:
    found = recognised(roboflow_masks, _made(tmp_path))
    assert shape(found) == {
        stem: (f"{folder}/{stem}.jpg", f"{folder}/{stem}_mask.png", folder.replace("valid", "val"))
        for folder, stem in STEMS.items()
    }
    assert found.said.names == {0: "background", 1: "road sign"}
    assert not found.said.ignored  # 0 may be background or unlabelled: a person must say


def test_tables_that_differ_are_named(tmp_path: Path) -> None:
    written(_made(tmp_path), "valid/_classes.csv", "Pixel Value, Class\n0, background\n1, car\n")
    told = r"test/_classes\.csv and valid/_classes\.csv.*1 is 'road sign' and 'car'"
    with pytest.raises(UserError, match=told):
        recognised(roboflow_masks, tmp_path)


def test_export_for_classification_is_another_form(tmp_path: Path) -> None:
    written(made(tmp_path, "train/a.jpg"), "train/_classes.csv", "filename, car\na.jpg, 1\n")
    assert roboflow_masks(Tree.of(tmp_path), Hints()) is None
