"""Editions that are numbered otherwise, and the three ways to count the classes."""

from pathlib import Path

import numpy as np
import pytest

from afdcd.config import UserError
from afdcd.data.catalog.datasets import COCO_STUFF, COCO_STUFF_182
from afdcd.data.images import PictureError, encode_png
from afdcd.data.raw.coco_stuff import find_coco_stuff
from tests.data.raw.layouts import LAYOUTS


def test_train_ids_do_not_tell_the_182_values(tmp_path: Path) -> None:
    LAYOUTS["coco_stuff train ids only"](tmp_path)
    with pytest.raises(
        UserError, match=r"annotations: holds \*_labelTrainIds\.png only, 171 classes"
    ):
        find_coco_stuff(tmp_path, COCO_STUFF_182)


def test_one_raw_label_that_is_missing_is_no_reason_to_read_train_ids(tmp_path: Path) -> None:
    LAYOUTS["coco_stuff beside train ids"](tmp_path)
    (tmp_path / "annotations/train2017/000000000009.png").unlink()
    labels = [pair.label for pair in find_coco_stuff(tmp_path, COCO_STUFF).pairs]
    assert labels[0] == "annotations/train2017/000000000009.png"


@pytest.mark.parametrize("other", ["", "annotations/"])
def test_stuff_only_pixelmaps_are_refused(other: str, tmp_path: Path) -> None:
    source = tmp_path / "coco"  # the name of the folder is looked at, too
    LAYOUTS["coco_stuff"](source)
    maps = source / other / "stuff_train2017_pixelmaps"
    maps.parent.mkdir(exist_ok=True)
    (source / "stuffthingmaps").rename(maps)
    with pytest.raises(UserError, match=r"stuffthingmaps/train2017/ \(missing\).*hold stuff only"):
        find_coco_stuff(source, COCO_STUFF)


def test_ten_thousand_edition_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cocostuff-10k-v1.1" / "annotations").mkdir(parents=True)
    for source in (tmp_path, tmp_path / "cocostuff-10k-v1.1"):
        with pytest.raises(UserError, match=r"the 10k edition \(\.mat, numbered from 1\)"):
            find_coco_stuff(source, COCO_STUFF)


@pytest.mark.parametrize(
    ("value", "reason"), [(183, "stuff-only pixelmap"), (182, "numbered from 1 as in the 10k")]
)
def test_labels_of_another_edition(value: int, reason: str, tmp_path: Path) -> None:
    encoding = find_coco_stuff(LAYOUTS["coco_stuff"](tmp_path).source, COCO_STUFF).encoding
    with pytest.raises(PictureError, match=rf"{value} \(2 pixels\): .*{reason}"):
        encoding.train_ids(encode_png(np.full((1, 2), value, np.uint8)))
