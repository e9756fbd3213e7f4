"""Hugging Face's Parquet: which columns, which split, which names."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afdcd.config import UserError
from afdcd.data.images import encode_png
from afdcd.data.own.forms.hf_parquet import find_hf_parquet
from afdcd.data.own.found import Found, Hints
from afdcd.data.own.tree import Tree
from tests.data.own.drawn_sets import found, names, picture, pixels, write

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
LABEL = encode_png(np.repeat(np.array([0, 1, 2, 255], np.uint8), 12).reshape(6, 8))
NAMES = {"0": "ground", "1": "car", "2": "tree"}


def _cells(data: bytes | None, rows: int) -> pa.Array:
    return pa.array([{"bytes": data, "path": "x.png"}] * rows, IMAGE)


def put(
    root: Path,
    file: str = "data/train-00000-of-00001.parquet",
    rows: int = 2,
    features: Any = None,
    **columns: Any,
) -> Path:
    """A table of pictures and labels; more columns are given by name."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"image": _cells(picture(), rows), "label": _cells(LABEL, rows)} | columns
    table = pa.table({name: column for name, column in values.items() if column is not None})
    if features is not None:
        said = {name: {"_type": kind} for name, kind in features.items()}
        metadata = {"huggingface": json.dumps({"info": {"features": said}})}
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path)
    return root


def _find(root: Path, **hints: Any) -> Found:
    return found(find_hf_parquet, root, Hints(**hints))


def test_rows_are_items_of_the_split_in_the_files_name(tmp_path: Path) -> None:
    put(tmp_path, "data/train-00000-of-00002.parquet", 2)
    put(tmp_path, "data/train-00001-of-00002.parquet", 1)
    put(tmp_path, "data/validation-00000-of-00001.parquet", 1)
    put(tmp_path, "data/test-00000-of-00001-0123456789abcdef.parquet", 1)
    write(tmp_path, {"id2label.json": NAMES})
    result = _find(tmp_path)
    assert [(item.key, item.split) for item in result.items] == [
        ("test_0", "test"),
        ("train_0", "train"),
        ("train_1", "train"),
        ("train_2", "train"),
        ("validation_0", "val"),
    ]
    assert names(result) == ["ground", "car", "tree"]
    for item in result.items:
        counts = pixels(tmp_path, result, item)
        assert counts == {"ground": 12, "car": 12, "tree": 12, "ignored": 12}


@pytest.mark.parametrize(
    ("file", "key", "split"),
    [
        ("train.parquet", "train_0", "train"),
        ("data/valid.parquet", "valid_0", "val"),
        ("default/train/0000.parquet", "default/train_0", "train"),
        ("part-00000-of-00001.parquet", "part_0", None),
        ("dev/part-00000-of-00001.parquet", "dev/part_0", "val"),
    ],
)
def test_files_of_other_names(tmp_path: Path, file: str, key: str, split: str | None) -> None:
    item = _find(put(tmp_path, file)).items[0]
    assert (item.key, item.split) == (key, split)


def test_missing_shards_are_told(tmp_path: Path) -> None:
    result = _find(put(tmp_path, "data/train-00001-of-00003.parquet"))
    assert result.remarks == ("train: 1 of 3 files are here",)


@pytest.mark.parametrize(
    "columns",
    [
        ("image", "label"),
        ("pixel_values", "annotation"),
        ("img", "semantic_seg"),
        ("mask", "image"),
        ("segmentation", "photo"),
        ("a", "b"),
    ],
)
def test_the_label_is_told_by_its_name_or_stands_second(
    tmp_path: Path, columns: tuple[str, str]
) -> None:
    cells = dict.fromkeys(columns, _cells(LABEL, 2))
    put(tmp_path, image=cells.get("image"), label=cells.get("label"),
        **{name: cells[name] for name in columns if name not in ("image", "label")})  # fmt: skip
    item = _find(tmp_path).items[0]
    label = {"mask": "mask", "segmentation": "segmentation"}.get(columns[0], columns[1])
    assert getattr(item.label, "column", "") == label
    assert getattr(item.image, "column", "") in set(columns) - {label}


def test_the_schema_says_which_columns_are_pictures(tmp_path: Path) -> None:
    features = {"image": "Image", "label": "Image", "thumbnail": "Value"}
    put(tmp_path, features=features, thumbnail=_cells(LABEL, 2))
    assert getattr(_find(tmp_path).items[0].label, "column", "") == "label"


def test_plain_bytes_are_pictures_where_there_are_two(tmp_path: Path) -> None:
    plain = pa.array([picture()] * 2, pa.large_binary())
    put(tmp_path, image=plain, label=pa.array([LABEL] * 2).dictionary_encode())
    write(tmp_path, {"id2label.json": NAMES})
    result = _find(tmp_path)
    assert pixels(tmp_path, result, result.items[1])["car"] == 12


def test_of_three_columns_a_person_must_choose(tmp_path: Path) -> None:
    put(tmp_path, depth=_cells(LABEL, 2))
    with pytest.raises(
        UserError, match=r"3 columns of pictures \(image, label, depth\); say which"
    ):
        _find(tmp_path)
    item = _find(tmp_path, columns=("image", "depth")).items[0]
    assert getattr(item.label, "column", "") == "depth"
    for wrong in (("image", "mask"), ("image", "image")):
        with pytest.raises(UserError, match="choose from image, label, depth"):
            _find(tmp_path, columns=wrong)


def test_one_column_of_pictures_has_no_labels(tmp_path: Path) -> None:
    put(tmp_path, label=pa.array([1, 2]))
    with pytest.raises(UserError, match=r"one column of pictures \(image\), none of labels"):
        _find(tmp_path)


def test_paths_without_pictures_are_not_self_contained(tmp_path: Path) -> None:
    put(tmp_path, image=_cells(None, 2))
    with pytest.raises(UserError, match="column 'image' holds paths only, no pictures: export"):
        _find(tmp_path)
    put(tmp_path, "data/validation-00000-of-00001.parquet")
    result = _find(tmp_path)
    assert {item.split for item in result.items} == {"val"}
    assert "train-00000-of-00001.parquet: column 'image' holds paths only" in result.refused[0]


def test_files_that_are_unlike_the_others_are_refused_alone(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, "data/validation-00000-of-00001.parquet", label=None, mask=_cells(LABEL, 2))
    write(tmp_path, {"data/test-00000-of-00001.parquet": b"version https://git-lfs"})
    result = _find(tmp_path)
    assert {item.split for item in result.items} == {"train"}
    assert "test-00000-of-00001.parquet: git-LFS pointer: run `git lfs pull`" in result.refused[0]
    assert "no pictures in column 'label'" in result.refused[1]


def test_damaged_files_alone_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"data/train-00000-of-00001.parquet": b"PAR1 and no more"})
    with pytest.raises(UserError, match=r"cannot be read(.|\n)*fetch the set again"):
        _find(tmp_path)


def test_without_names_only_a_person_knows(tmp_path: Path) -> None:
    said = _find(put(tmp_path)).said
    assert (said.names, said.ignored, said.source) == ({}, frozenset(), "")


@pytest.mark.parametrize(
    ("more", "ignored"),
    [
        ({}, {255}),
        ({"255": "unlabeled"}, {255}),
        ({"255": "Ignore"}, {255}),
        ({"255": "lamp"}, set()),
        ({"3": "unlabeled"}, {255}),
    ],
)
def test_255_is_ignored_unless_it_is_a_class(
    tmp_path: Path, more: dict[str, str], ignored: set[int]
) -> None:
    write(put(tmp_path), {"id2label.json": NAMES | more})
    result = _find(tmp_path)
    assert result.said.ignored == ignored
    assert len(result.remarks) == len(ignored)
    assert set(result.said.names) == {int(key) for key in NAMES | more} - ignored


def test_0_is_never_ignored_by_its_name(tmp_path: Path) -> None:
    write(put(tmp_path), {"id2label.json": {"1": "car", "0": "unlabeled"}})
    result = _find(tmp_path)
    assert names(result) == ["unlabeled", "car"]
    assert result.said.ignored == {255}


def test_names_are_words(tmp_path: Path) -> None:
    write(put(tmp_path), {"x-id2label.json": {"10": 1, "9": True, "0": "no"}})
    assert names(_find(tmp_path)) == ["no", "true", "1"]


@pytest.mark.parametrize(
    "content", [{}, [], {"car": 0}, {"0": None}, {"-1": "car"}, {"1": "a", "01": "b"}]
)
def test_names_that_say_nothing_are_an_error(tmp_path: Path, content: Any) -> None:
    write(put(tmp_path), {"id2label.json": content})
    with pytest.raises(UserError, match=r"id2label\.json: no numbers with names; write"):
        _find(tmp_path)


def test_other_tables_are_not_hugging_faces(tmp_path: Path) -> None:
    assert find_hf_parquet(Tree.of(write(tmp_path, {"a.jpg": None})), Hints()) is None
    put(tmp_path, image=None, label=pa.array([1, 2]))
    assert find_hf_parquet(Tree.of(tmp_path), Hints()) is None
    write(tmp_path, {"broken.parquet": b"nothing"})  # another form may know its pictures
    assert find_hf_parquet(Tree.of(tmp_path), Hints()) is None


def test_metadata_that_is_nonsense_is_passed_over(tmp_path: Path) -> None:
    path = put(tmp_path) / "data/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    for said in (
        b"{",
        b"[]",
        b'{"info": {"features": [1]}}',
        b'{"info": {"features": {"image": 1}}}',
    ):
        pq.write_table(table.replace_schema_metadata({"huggingface": said}), path)
        assert len(_find(tmp_path).items) == 2
