"""Datumaro's mask folder: the JSON has numbers, colours, or both."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.own.forms.datumaro_masks import datumaro_masks
from tests.data.own.sets import made, recognised, shape, written

MAP = {"label_map": {"0": "background", "12": "road sign"}}
COLOURED = {**MAP, "segmentation_colors": [[0, 0, 0], [61, 61, 245]]}


def _made(folder: Path, meta: object) -> Path:
    written(made(folder, "images/a.png", "masks/a.png"), "dataset_meta.json", json.dumps(meta))
    return folder


def test_numbers(tmp_path: Path) -> None:
    found = recognised(datumaro_masks, _made(tmp_path, MAP))
    assert found.said.names == {0: "background", 12: "road sign"}
    assert shape(found) == {"a": ("images/a.png", "masks/a.png", None)}
    assert recognised(datumaro_masks, _made(tmp_path, {"labels": ["a", "b"]})).said.names == {
        0: "a",
        1: "b",
    }


def test_colours_count_where_masks_are_coloured(tmp_path: Path) -> None:
    found = recognised(datumaro_masks, _made(tmp_path, COLOURED))
    assert found.said.names == {0: "background", 12: "road sign"}
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "masks/a.png")
    found = recognised(datumaro_masks, tmp_path)
    assert found.said.names == {(0, 0, 0): "background", (61, 61, 245): "road sign"}


@pytest.mark.parametrize("meta", [[], {}, {"label_map": {"x": "car"}}, {"label_map": 3}])
def test_json_that_does_not_tell(meta: object, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dataset_meta\.json: no label_map"):
        recognised(datumaro_masks, _made(tmp_path, meta))


def test_colours_follow_numbers_whatever_the_order_of_the_json(tmp_path: Path) -> None:
    labels = {str(number): f"c{number}" for number in range(12)}
    colours = [[number, 100, 0] for number in range(12)]
    meta = {"label_map": dict(sorted(labels.items())), "segmentation_colors": colours}
    _made(tmp_path, meta)
    assert list(recognised(datumaro_masks, tmp_path).said.names) == list(range(12))
    Image.fromarray(np.full((2, 3, 3), [1, 2, 3], np.uint8)).save(tmp_path / "masks/a.png")
    found = recognised(datumaro_masks, tmp_path)
    assert found.said.names == {(number, 100, 0): f"c{number}" for number in range(12)}


def test_colours_that_are_not_one_for_each_label(tmp_path: Path) -> None:
    meta = {**MAP, "segmentation_colors": [[0, 0, 0]]}
    with pytest.raises(UserError, match=r"2 labels and 1 segmentation_colors.*one for each label"):
        recognised(datumaro_masks, _made(tmp_path, meta))
