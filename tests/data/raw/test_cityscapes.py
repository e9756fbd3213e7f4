"""Labels that lie under a wrong name, and what must never score."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.catalog.datasets import CITYSCAPES
from afdcd.data.images import PictureError
from afdcd.data.raw.cityscapes import find_cityscapes
from tests.data.raw.layouts import LAYOUTS

LABEL_IDS, TRAIN_IDS, INSTANCES = "cityscapes", "cityscapes, train ids only", "cityscapes, imgsFine"


def _label(name: str, folder: Path, kind: str) -> bytes:
    """One label of a layout, of a given kind."""
    return next(LAYOUTS[name](folder).source.rglob(f"aachen*_{kind}.png")).read_bytes()


@pytest.mark.parametrize(
    ("layout", "kind", "reason"),
    [
        (LABEL_IDS, "labelTrainIds", r"255 \(\d+ pixels\): a labelTrainIds file"),
        (LABEL_IDS, "instanceIds", "an instanceIds file"),
        (LABEL_IDS, "color", "RGBA label, one number per pixel expected"),
        (TRAIN_IDS, "labelIds", "a labelIds file in place of labelTrainIds"),
        (TRAIN_IDS, "instanceIds", "an instanceIds file"),
        (INSTANCES, "labelTrainIds", "a labelTrainIds file in place of instanceIds"),
    ],
)
def test_file_of_another_kind_is_named(layout: str, kind: str, reason: str, tmp_path: Path) -> None:
    encoding = find_cityscapes(LAYOUTS[layout](tmp_path / "a").source, CITYSCAPES).encoding
    with pytest.raises(PictureError, match=reason):
        encoding.train_ids(_label(LABEL_IDS, tmp_path / "b", kind))


def test_endings_are_seen_in_any_case(tmp_path: Path) -> None:
    source = LAYOUTS[LABEL_IDS](tmp_path).source
    before = find_cityscapes(source, CITYSCAPES)
    for path in [*source.rglob("*_labelIds.png"), *source.rglob("*_leftImg8bit.png")]:
        path.rename(path.with_suffix(".PNG"))
    assert [pair.key for pair in find_cityscapes(source, CITYSCAPES).pairs] == [
        pair.key for pair in before.pairs
    ]


def test_label_ids_are_preferred_and_train_ids_come_next(tmp_path: Path) -> None:
    source = LAYOUTS["cityscapes"](tmp_path).source
    assert "labelIds" in find_cityscapes(source, CITYSCAPES).name
    for path in source.rglob("frankfurt*_labelIds.png"):
        path.unlink()
    # One label is missing: that is a fault of a file, no reason to read other files.
    assert "labelIds" in find_cityscapes(source, CITYSCAPES).name
    for path in source.rglob("munster*_labelIds.png"):
        path.unlink()
    assert "labelTrainIds" in find_cityscapes(source, CITYSCAPES).name


def test_no_kind_that_train_and_val_share(tmp_path: Path) -> None:
    source = LAYOUTS["cityscapes"](tmp_path).source
    for path in (source / "gtFine" / "val").rglob("*Ids.png"):
        path.unlink()
    with pytest.raises(
        UserError, match=r"no kind of label for train and val alike.*_labelIds\.png"
    ):
        find_cityscapes(source, CITYSCAPES)


def test_test_split_is_optional(tmp_path: Path) -> None:
    source = LAYOUTS["cityscapes"](tmp_path).source
    (source / "leftImg8bit" / "test").rename(tmp_path / "elsewhere")
    assert "3/2/0 images" in find_cityscapes(source, CITYSCAPES).name


def test_images_without_their_name_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "leftImg8bit" / "train" / "aachen").mkdir(parents=True)
    (tmp_path / "gtFine").mkdir()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(
        tmp_path / "leftImg8bit" / "train" / "aachen" / "aachen_000000_000019.png"
    )
    with pytest.raises(UserError, match=r"leftImg8bit: holds no \*_leftImg8bit\.png; get"):
        find_cityscapes(tmp_path, CITYSCAPES)
