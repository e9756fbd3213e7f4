"""What every finder owes: the layout it is given, faults in the files, and a refusal that helps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from afdcd.config import UserError
from afdcd.data.catalog.datasets import DATASETS, dataset_named
from afdcd.data.pairs import Layout
from afdcd.data.raw import FINDERS, folders
from tests.data.raw.layouts import LAYOUTS, Raw

Builder = Callable[[Path], Raw]
BY_NAME = pytest.mark.parametrize("build", LAYOUTS.values(), ids=LAYOUTS)
BY_DATASET = pytest.mark.parametrize("dataset", FINDERS)


def _find(source: Path, dataset: str) -> Layout:
    return FINDERS[dataset](source, dataset_named(dataset))


@BY_NAME
def test_layout_is_found_and_its_labels_keep_their_meaning(build: Builder, tmp_path: Path) -> None:
    raw = build(tmp_path)
    layout = _find(raw.source, raw.dataset)
    pairs = {(pair.split, pair.key): pair for pair in layout.pairs}
    assert pairs.keys() == raw.truth.keys()
    assert len(pairs) == len(layout.pairs)
    for place, ids in raw.truth.items():
        pair = pairs[place]
        assert (layout.folder / pair.image).is_file()
        if ids is None:
            assert pair.label is None
            continue
        assert pair.label is not None
        found = layout.encoding.train_ids((layout.folder / pair.label).read_bytes())
        np.testing.assert_array_equal(found, ids, err_msg=f"{pair.label}, {layout.encoding.name}")
    assert layout.unlisted == ()


@BY_NAME
def test_name_is_one_line_that_counts(build: Builder, tmp_path: Path) -> None:
    raw = build(tmp_path)
    name = _find(raw.source, raw.dataset).name
    splits = [split for split, _ in raw.truth]
    assert "/".join(str(splits.count(split)) for split in ("train", "val", "test")) in name
    assert "\n" not in name


@BY_NAME
def test_order_and_keys_do_not_depend_on_the_file_system(
    build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = build(tmp_path)
    once = _find(raw.source, raw.dataset).pairs
    scandir = folders.os.scandir
    monkeypatch.setattr(folders.os, "scandir", lambda path: reversed(list(scandir(path))))
    assert _find(raw.source, raw.dataset).pairs == once


@BY_NAME
@pytest.mark.parametrize("lost", ["image", "label"])
def test_partner_of_a_lost_file_asks_for_it(build: Builder, lost: str, tmp_path: Path) -> None:
    raw = build(tmp_path)
    before = _find(raw.source, raw.dataset)
    pair = next(pair for pair in before.pairs if pair.label)
    shown = (before.folder / pair.image).read_bytes()
    for file in [file for file in before.folder.rglob(f"{pair.key}*") if file.is_file()]:
        if (file.read_bytes() == shown) == (lost == "image"):
            file.unlink()
    after = _find(raw.source, raw.dataset)
    assert [(p.split, p.key) for p in after.pairs] == [(p.split, p.key) for p in before.pairs]
    again = next(p for p in after.pairs if p.key == pair.key)
    assert again.image == pair.image
    assert not (before.folder / (again.image if lost == "image" else str(again.label))).exists()


@BY_NAME
def test_files_of_the_unpacking_program_are_no_pictures(build: Builder, tmp_path: Path) -> None:
    raw = build(tmp_path)
    before = _find(raw.source, raw.dataset)
    pair = before.pairs[0]
    for path in (pair.image, str(pair.label)):
        file = before.folder / path
        file.with_name(f"._{file.name}").write_bytes(b"Mac OS X")
        (file.parent / "Thumbs.db").write_bytes(b"Windows")
    assert _find(raw.source, raw.dataset) == before


@BY_DATASET
def test_empty_folder_is_told_what_was_looked_for_and_where_to_get_it(
    dataset: str, tmp_path: Path
) -> None:
    (tmp_path / "download.zip").touch()
    with pytest.raises(UserError) as error:
        _find(tmp_path, dataset)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}: not ")
    assert "(missing)" in message
    assert "(there)" not in message
    assert "download.zip must be unpacked first" in message
    assert "get " in message.rpartition("; ")[2]
    assert "\n" not in message


@BY_DATASET
def test_no_folder_at_all(dataset: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: no such folder; give the one that"):
        _find(tmp_path / "none", dataset)


@BY_DATASET
def test_folder_of_another_data_set_is_refused(dataset: str, tmp_path: Path) -> None:
    other = "voc sbd" if dataset != "voc" else "cityscapes"
    LAYOUTS[other](tmp_path)
    with pytest.raises(UserError, match=f"{tmp_path}: not "):
        _find(tmp_path, dataset)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("camvid official", "701_StillsRaw_full/0001TP_006690.png"),
        ("voc gray aug", "VOCdevkit/VOC2012/JPEGImages/2007_000032.jpg"),
        ("ade20k", "images/training/ADE_train_00000001.jpg"),
        ("coco_stuff", "train2017/000000000009.jpg"),
    ],
)
def test_two_pictures_of_one_name_are_refused(name: str, image: str, tmp_path: Path) -> None:
    raw = LAYOUTS[name](tmp_path)
    second = (tmp_path / image).with_suffix(".webp")
    second.touch()
    with pytest.raises(UserError, match=f"two files named {second.stem}: keep one of them"):
        _find(raw.source, raw.dataset)


def test_every_data_set_but_the_rendered_one_has_a_finder() -> None:
    assert FINDERS.keys() == DATASETS.keys() - {"synthetic"}
