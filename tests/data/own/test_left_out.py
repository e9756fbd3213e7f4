"""Forms that are not read are called by their name, with what to export instead."""

import os
from pathlib import Path

import pytest

from afdcd.data.own.forms import FORMS
from afdcd.data.own.found import Hints
from afdcd.data.own.left_out import left_out
from afdcd.data.own.tree import Tree
from tests.data.own.sets import made, written

CASES = {
    "Supervisely": (
        {"meta.json": "{}", "ds/ann/a.jpg.json": "{}"},
        "Supervisely.*export COCO or masks",
    ),
    "Kaggle": (
        {"train.csv": "ImageId,EncodedPixels,ClassId\na.jpg,4 2 12 1,1\n"},
        r"train\.csv: run lengths.*PNG masks",
    ),
    "CVAT XML": (
        {"annotations.xml": "<?xml?>\n<annotations>\n<version>1.1</version><meta>"},
        r"annotations\.xml: CVAT's XML.*Segmentation mask",
    ),
    "Darwin": ({"a.json": '{"version": "2.0", "item": {"slots": []}}'}, "Darwin.*export COCO"),
    "Labelbox": ({"export.ndjson": '{"data_row": {"id": "x"}}'}, "Labelbox.*export COCO"),
    "Label Studio JSON": (
        {"project.json": '[{"id": 1, "annotations": [{"id": 2, "result": []}]}]'},
        "Label Studio's JSON.*export COCO",
    ),
    "VIA": ({"via.json": '{"_via_settings": {}}'}, "VGG Image Annotator.*export COCO"),
    "Label Studio brush": (
        {"task-1-annotation-2-by-3-tag-car-0.png": ""},
        "brush masks.*export COCO",
    ),
    "NIfTI": ({"imagesTr/a.nii.gz": "", "labelsTr/a.nii.gz": ""}, "medical volumes.*8-bit PNG"),
    "GeoTIFF": ({"a.tif": "", "a.tfw": ""}, "GeoTIFF.*8-bit PNG"),
    "arrays": ({"masks/a.npy": ""}, "arrays.*8-bit PNG"),
}


def test_what_hides_the_set_is_named(tmp_path: Path) -> None:
    for name, told in (("x.zip", "unzip x.zip"), ("y.tar.xz", "tar -xJf y.tar.xz")):
        folder = made(tmp_path / name, "images/a.jpg")
        written(folder, name, "")
        assert told in str(left_out(Tree.of(folder)))
    folder = made(tmp_path / "large", "images/a.jpg")
    written(folder, "instances.json", "")
    os.truncate(folder / "instances.json", 2 * 2**30)  # takes no room on the disk
    assert "instances.json: 2.1 GB, at most 537 MB" in str(left_out(Tree.of(folder)))
    folder = made(tmp_path / "linked", "images/a.jpg")
    (folder / "masks").symlink_to(tmp_path / "large")
    assert "masks: a link out of the source" in str(left_out(Tree.of(folder)))


@pytest.mark.parametrize("case", CASES)
def test_form_is_named_with_the_way_round(case: str, tmp_path: Path) -> None:
    files, message = CASES[case]
    made(tmp_path, "photos/a.jpg")
    for file, text in files.items():
        written(tmp_path, file, text)
    tree = Tree.of(tmp_path)
    assert all(form(tree, Hints()) is None for form in FORMS)
    error = left_out(tree)
    assert error is not None
    assert str(error).startswith(str(tmp_path))
    with pytest.raises(type(error), match=f"(?s){message}"):
        raise error


def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    made(tmp_path, "a.jpg")
    written(tmp_path, "notes.json", '{"segmentation": 1}')
    written(tmp_path, "table.csv", "file,width\n")
    assert left_out(Tree.of(tmp_path)) is None
