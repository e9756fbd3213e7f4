"""Sets that other tools wrote: pixels of each class are theirs, or another right rasteriser's."""

import json
from pathlib import Path
from typing import Any

import pytest

from afdcd.data.own.forms import FORMS
from afdcd.data.own.found import Hints
from afdcd.data.own.tree import Tree
from tests.data.own.drawn_sets import names, pixels
from tests.samples import SAMPLES, needs_samples

pytestmark = needs_samples


def _near(counts: dict[str, int], wanted: dict[str, int], tolerance: int) -> bool:
    return counts.keys() == wanted.keys() and all(
        abs(counts[name] - wanted[name]) <= tolerance for name in counts
    )


@pytest.mark.parametrize("name", ["coco_json", "yolo_seg", "labelme", "hf_parquet"])
def test_a_sample_gives_what_its_tool_draws(name: str) -> None:
    case: Path = SAMPLES / "own" / name
    expected: dict[str, Any] = json.loads((case / "expected.json").read_text())
    tree = Tree.of(case / "source")
    result = next(filter(None, (form(tree, Hints()) for form in FORMS)))
    assert names(result) == expected["classes"]
    assert (result.refused, result.unlisted) == ((), ())
    assert {item.key: item.split for item in result.items} == {
        key: image["split"] for key, image in expected["images"].items()
    }
    for item in result.items:
        image = expected["images"][item.key]
        counts = pixels(tree.root, result, item)
        right = [image["counts"], *image.get("alternatives", [])]
        assert any(_near(counts, wanted, expected["tolerance"]) for wanted in right), item.key
