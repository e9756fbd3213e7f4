"""The order of the forms: what says most is asked first, and no form takes another's set."""

import pytest

from afdcd.data.own.forms import FORMS
from afdcd.data.own.found import Hints
from afdcd.data.own.tree import Tree
from tests.samples import SAMPLES, needs_samples


@needs_samples
@pytest.mark.parametrize(
    ("sample", "form"),
    [
        ("mask_folders", "mask_folders"),
        ("mmseg_dirs", "mmseg_dirs"),
        ("cvat_mask", "cvat_mask"),
        ("ultralytics_masks", "ultralytics_masks"),
    ],
)
def test_sample_is_taken_by_its_form(sample: str, form: str) -> None:
    tree = Tree.of(SAMPLES / "own" / sample / "source")
    first = next(form for form in FORMS if form(tree, Hints()))
    assert getattr(first, "__name__", "") == form


@needs_samples
@pytest.mark.parametrize("sample", ["coco_json", "yolo_seg", "labelme", "hf_parquet"])
def test_drawn_labels_are_no_masks(sample: str) -> None:
    tree = Tree.of(SAMPLES / "own" / sample / "source")
    masks = [
        form for form in FORMS if form.__module__.endswith(("mask_folders", "_masks", "_tables"))
    ]
    assert [form for form in masks if form(tree, Hints())] == []
