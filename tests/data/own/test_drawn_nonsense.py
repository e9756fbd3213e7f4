"""JSON of wrong types everywhere: a person is told, and nothing else ever comes out."""

import base64
import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afdcd.config import UserError
from afdcd.data.images import PictureError, encode_png
from afdcd.data.own.forms.coco_json import find_coco
from afdcd.data.own.forms.hf_parquet import find_hf_parquet
from afdcd.data.own.forms.labelme import find_labelme
from afdcd.data.own.found import Form, Hints
from afdcd.data.own.tree import Tree
from tests.data.own.drawn_sets import found, ids, write
from tests.data.own.test_hf_parquet import NAMES, put

VALUES: list[Any] = [
    None, True, False, 0, -1, 3, 7, 10**30, -(2**63), 0.5, float("nan"), float("-inf"), 1e308,
    "", "a", "a.jpg", "\x00", "../a.jpg", "é" * 3, "7", [], {}, [[]], [[0, 0]], [1, [2, [3]]],
    {"size": [6, 8], "counts": "0"}, {"id": 1}, "a" * 300 + ".jpg", ["\ud800"], "\ud800",
]  # fmt: skip
SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2]]
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "segmentation": [[0, 0, 2, 0, 2, 2]]},
        {"id": 2, "image_id": 1, "category_id": 7,
         "segmentation": {"size": [6, 8], "counts": [6, 6, 36]}},
        {"id": 3, "image_id": 1, "category_id": 7,
         "segmentation": {"size": [6, 8], "counts": "661Nn0"}},
    ],
    "categories": [{"id": 7, "name": "car", "supercategory": "none"}, {"id": 0, "name": "x"}],
}  # fmt: skip
MASK = base64.b64encode(encode_png(np.ones((2, 2), np.uint8))).decode()
LABELME = {
    "shapes": [
        {"label": "car", "points": SQUARE, "shape_type": "polygon"},
        {"label": "car", "points": [[1, 1], [3, 3]], "shape_type": "rectangle"},
        {"label": "tree", "points": [[1, 1], [3, 3]], "shape_type": "circle"},
        {"label": "tree", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": MASK},
    ],
    "imagePath": "a.jpg",
    "imageData": None,
    "imageHeight": 6,
    "imageWidth": 8,
}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [path, *(place for key in keys for place in _places(value[key], (*path, key)))]


def _spoilt(content: Any, chance: random.Random) -> Any:
    """One to three values anywhere replaced, taken out, or said twice."""
    content = copy.deepcopy(content)
    for _ in range(chance.randint(1, 3)):
        places = _places(content)[1:]
        if not places:
            return content
        *above, last = chance.choice(places)
        parent = content
        for key in above:
            parent = parent[key]
        match chance.randint(0, 3):
            case 0:
                del parent[last]
            case 1 if isinstance(parent, list):
                parent.append(parent[last])
            case _:
                parent[last] = copy.deepcopy(chance.choice(VALUES))
    return content


def _tell(form: Form, root: Path) -> None:
    try:
        result = form(Tree.of(root), Hints())
    except UserError as error:
        assert ": " in str(error)
        return
    for line in (*result.refused, *result.remarks) if result else ():
        assert line.isprintable()
    for item in result.items if result else ():
        str(item.label).encode()
        assert ".." not in str(item.image)
        try:
            assert ids(root, result, item).shape == (6, 8)
        except PictureError as reason:
            assert ": " in str(reason)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("form", "content"), [(find_coco, COCO), (find_labelme, LABELME)], ids=["coco", "labelme"]
)
def test_json(tmp_path: Path, form: Form, content: Any, seed: int) -> None:
    chance = random.Random(seed)
    write(tmp_path, {"a.jpg": None, "x.json": content})
    whole = found(form, tmp_path)
    assert ids(tmp_path, whole, whole.items[0]).any()  # else spoiling would try nothing
    for _ in range(60):
        (tmp_path / "x.json").write_text(json.dumps(_spoilt(content, chance)))
        _tell(form, tmp_path)


def test_names_of_a_table(tmp_path: Path) -> None:
    chance = random.Random(0)
    put(tmp_path)
    for _ in range(100):
        write(tmp_path, {"id2label.json": json.dumps(_spoilt(NAMES, chance))})
        try:
            find_hf_parquet(Tree.of(tmp_path), Hints())
        except UserError as error:
            assert ": " in str(error)


@pytest.mark.parametrize("deep", ["[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900])
def test_values_that_are_nested_absurdly(tmp_path: Path, deep: str) -> None:
    write(tmp_path, {"a.jpg": None})
    for form, content in ((find_coco, COCO), (find_labelme, LABELME)):
        text = json.dumps(content)
        assert "[[0, 0" in text
        (tmp_path / "x.json").write_text(text.replace("[[0, 0", f"[{deep}, [0, 0", 1))
        _tell(form, tmp_path)
