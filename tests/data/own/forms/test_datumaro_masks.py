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
