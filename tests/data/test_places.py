"""Bytes of pictures in files, in cells of Parquet files, and at hand."""

import os
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afdcd.data.images import PictureError
from afdcd.data.places import Cell, Written, read, stamp

ROWS = [f"picture {row}".encode() for row in range(23)]
STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def _write(folder: Path, values: pa.Array, rows: int = 23) -> Path:
    path = folder / "train.parquet"
    pq.write_table(pa.table({"image": values}), path, row_group_size=rows)
    return path


def _structs(rows: list[bytes]) -> pa.Array:
    return pa.array([{"bytes": row, "path": "x.png"} for row in rows], STRUCT)


def _all(folder: Path, order: list[int]) -> list[bytes]:
    return [read(folder, Cell("train.parquet", row, "image")) for row in order]


@pytest.mark.parametrize("rows", [1, 7, 23])
def test_every_row_is_found_in_groups_of_any_size(tmp_path: Path, rows: int) -> None:
    _write(tmp_path, _structs(ROWS), rows)
    assert _all(tmp_path, list(range(23))) == ROWS
    backwards = list(range(22, -1, -1))
    assert _all(tmp_path, backwards) == [ROWS[row] for row in backwards]
    assert _all(tmp_path, [20, 3, 20, 4]) == [ROWS[20], ROWS[3], ROWS[20], ROWS[4]]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(ROWS, pa.binary()),
        pa.array(ROWS, pa.large_binary()),
        pa.array(ROWS, pa.binary()).dictionary_encode(),
        pa.array([{"bytes": row} for row in ROWS], pa.struct({"bytes": pa.large_binary()})),
    ],
    ids=["binary", "large", "dictionary", "large struct"],
)
def test_columns_of_other_types(tmp_path: Path, values: pa.Array) -> None:
    _write(tmp_path, values, 5)
    assert _all(tmp_path, list(range(23))) == ROWS


def test_columns_may_be_read_in_turn(tmp_path: Path) -> None:
    labels = [row[::-1] for row in ROWS]
    table = pa.table({"image": _structs(ROWS), "label": _structs(labels)})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=9)
    for row in range(23):
        assert read(tmp_path, Cell("t.parquet", row, "image")) == ROWS[row]
        assert read(tmp_path, Cell("t.parquet", row, "label")) == labels[row]


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = _write(tmp_path, _structs(ROWS))
    assert _all(tmp_path, [0]) == [ROWS[0]]
    _write(tmp_path, _structs(ROWS[::-1]), 4)
    os.utime(path, ns=(1, 1))  # a coarse clock may give both one time
    assert _all(tmp_path, [0, 22]) == [ROWS[22], ROWS[0]]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (Cell("train.parquet", 23, "image"), "no such row"),
        (Cell("train.parquet", 0, "mask"), "cannot be read"),
        (Cell("gone.parquet", 0, "image"), "cannot be read"),
        (Cell("train.parquet", 1, "image"), "only a path"),
    ],
)
def test_what_a_cell_lacks_is_said(tmp_path: Path, cell: Cell, reason: str) -> None:
    rows = [{"bytes": row, "path": "x"} for row in ROWS]
    rows[1]["bytes"] = None
    _write(tmp_path, pa.array(rows, STRUCT))
    with pytest.raises(PictureError, match=f"{reason}.*: .+"):
        read(tmp_path, cell)
    assert _all(tmp_path, [2]) == [ROWS[2]]


def test_a_damaged_file_is_told_for_each_row(tmp_path: Path) -> None:
    rows = [os.urandom(4000) for _ in range(40)]
    path = _write(tmp_path, _structs(rows), 40)
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 3000] = bytes(3000)
    path.write_bytes(data[:4] + bytes(200) + data[204:])
    for row in (39, 39, 38):
        with pytest.raises(PictureError, match="fetch the file again"):
            read(tmp_path, Cell("train.parquet", row, "image"))


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"version https://git-lfs")
    with pytest.raises(PictureError, match="cannot be read"):
        read(tmp_path, Cell("train.parquet", 0, "image"))
    assert stamp(tmp_path, Cell("train.parquet", 0, "image"))[0] == 23


def test_stamps_tell_changes_and_share_the_size_of_a_table(tmp_path: Path) -> None:
    path = _write(tmp_path, _structs(ROWS), 5)
    size, changed = stamp(tmp_path, Cell("train.parquet", 3, "image"))
    assert size == path.stat().st_size // 23
    os.utime(path, ns=(5, 5))
    assert stamp(tmp_path, Cell("train.parquet", 3, "image")) == (size, 5) != (size, changed)
    assert stamp(tmp_path, "train.parquet") == (path.stat().st_size, 5)
    assert stamp(tmp_path, "gone.png") == stamp(tmp_path, None) == (0, 0)


def test_written_bytes_decide_what_it_looks_like() -> None:
    """Plans compare places by `repr`: other annotations in one place must not look alike."""
    place = Written("a.json: image 1", b"old")
    assert repr(place) != repr(Written("a.json: image 1", b"new"))
    assert b"old" not in repr(place).encode()
    assert str(place) == "a.json: image 1"
    assert read(Path(), place) == b"old"
    assert stamp(Path(), place) == (3, 0)
    assert pickle.loads(pickle.dumps(place)) == place
