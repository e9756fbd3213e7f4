"""VOC folders with a label map: its colours are the classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.own.forms.cvat_mask import cvat_mask
from afdcd.data.own.found import Hints
from afdcd.data.own.masks import MaskColours
from afdcd.data.own.tree import Tree
from tests.data.own.sets import agrees_with_sample, made, recognised, written
from tests.samples import SAMPLES, needs_samples

MAP = "# label:color_rgb:parts:actions\ncar:61,61,245::\nroad sign:1,2,3::\nbackground:9,9,9::\n"
FILES = [
    f"{folder}/{key}.{kind}"
    for key in "abc"
    for folder, kind in [
        ("JPEGImages", "jpg"),
        ("SegmentationClass", "png"),
        ("SegmentationObject", "png"),
    ]
]


def test_label_map_names_colours_in_its_order(tmp_path: Path) -> None:
    written(made(tmp_path, *FILES), "labelmap.txt", MAP)
    found = recognised(cvat_mask, tmp_path)
    assert list(found.said.names.items()) == [
        ((61, 61, 245), "car"),
        ((1, 2, 3), "road sign"),
        ((9, 9, 9), "background"),  # any colour, and not the first
    ]
    assert found.said.source == "labelmap.txt"
    assert [item.label for item in found.items] == [f"SegmentationClass/{k}.png" for k in "abc"]
    assert {item.split for item in found.items} == {None}


def test_lists_say_the_splits_and_those_of_other_tasks_do_not(tmp_path: Path) -> None:
    written(made(tmp_path, *FILES), "labelmap.txt", MAP)
    written(tmp_path, "ImageSets/Main/train.txt", "a 1\nb 1\nc 1\n")
    written(tmp_path, "ImageSets/Segmentation/train.txt", "a\nb\n")
    written(tmp_path, "ImageSets/Segmentation/val.txt", "c\n")
    found = recognised(cvat_mask, tmp_path)
    assert [item.split for item in found.items] == ["train", "train", "val"]


def test_default_txt_alone_says_no_split(tmp_path: Path) -> None:
    written(made(tmp_path, *FILES), "labelmap.txt", MAP)
    written(tmp_path, "ImageSets/Segmentation/default.txt", "a\nb\n")
    found = recognised(cvat_mask, tmp_path)
    assert [(item.key, item.split) for item in found.items] == [("a", None), ("b", None)]
    assert found.unlisted == ("JPEGImages/c.jpg",)


def test_palette_counts_by_colour_and_not_by_index(tmp_path: Path) -> None:
    """The label map is sorted by name; indices are in the order in which labels were made."""
    written(made(tmp_path, *FILES), "labelmap.txt", MAP)
    mask = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    mask.putpalette([9, 9, 9, 1, 2, 3, 61, 61, 245])
    mask.save(tmp_path / "SegmentationClass/a.png")
    found = recognised(cvat_mask, tmp_path)
    table = {raw: i for i, raw in enumerate(found.said.names) if isinstance(raw, tuple)}
    data = (tmp_path / str(found.items[0].label)).read_bytes()
    assert MaskColours("CVAT", table).train_ids(data).tolist() == [[2, 1, 0]]


def test_border_of_voc_is_ignored_unless_it_is_listed(tmp_path: Path) -> None:
    written(made(tmp_path, *FILES), "labelmap.txt", MAP)
    assert recognised(cvat_mask, tmp_path).said.ignored == {(224, 224, 192)}
    written(tmp_path, "labelmap.txt", "sand:224,224,192::\n")
    assert not recognised(cvat_mask, tmp_path).said.ignored


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("car:::\n", r"labelmap\.txt:1: no colour: 'car:::'"),
        ("car\n", r"labelmap\.txt:1: no colour"),
        ("car:1,2,3::\n\nbus:1,2,3::\n", r"labelmap\.txt:3: \(1, 2, 3\) is of car and of bus"),
    ],
)
def test_map_that_does_not_tell(text: str, reason: str, tmp_path: Path) -> None:
    written(made(tmp_path, *FILES), "labelmap.txt", text)
    with pytest.raises(UserError, match=reason):
        recognised(cvat_mask, tmp_path)


def test_export_without_pictures(tmp_path: Path) -> None:
    written(made(tmp_path, "SegmentationClass/a.png"), "labelmap.txt", MAP)
    with pytest.raises(UserError, match="Save images"):
        recognised(cvat_mask, tmp_path)


def test_label_map_of_another_export(tmp_path: Path) -> None:
    written(made(tmp_path, "images/a.jpg"), "labelmap.txt", MAP)
    assert cvat_mask(Tree.of(tmp_path), Hints()) is None


@needs_samples
def test_sample() -> None:
    found = recognised(cvat_mask, SAMPLES / "own/cvat_mask/source")
    agrees_with_sample("cvat_mask", found, found.said.names)
