"""Where the bytes of a picture or a label are: a file, a cell of a Parquet file, or at hand."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from afdcd.data.images import PictureError
from afdcd.text import first_line

_BATCH = 8  # rows
_BUFFER = 2**20


@dataclass(frozen=True, slots=True)
class Cell:
    """`column` of row `row`, counted from 0, of the Parquet file `file`: a struct with `bytes`."""

    file: str
    row: int
    column: str

    def __str__(self) -> str:
        return f"{self.file}: row {self.row}, {self.column}"


@dataclass(frozen=True, slots=True, repr=False)
class Written:
    """Bytes that an annotation file holds for one picture; `origin` is what a person would open."""

    origin: str
    data: bytes = field(default=b"")

    def __str__(self) -> str:
        return self.origin

    def __repr__(self) -> str:
        return f"Written({self.origin!r}, {hashlib.sha256(self.data).hexdigest()})"


Place: TypeAlias = str | Cell | Written


def read(folder: Path, place: Place) -> bytes:
    """The bytes at `place` below `folder`.

    Raises:
        OSError: the file cannot be read.
        PictureError: the cell cannot be read, or holds no bytes.
    """
    match place:
        case str():
            return (folder / place).read_bytes()
        case Cell():
            return _cell(folder, place)
        case Written():
            return place.data


def stamp(folder: Path, place: Place | None) -> tuple[int, int]:
    """(bytes, time in ns): what tells that a file changed, without reading it; zeros if missing."""
    if place is None or isinstance(place, Written):
        return len(place.data) if place else 0, 0
    path = folder / (place.file if isinstance(place, Cell) else place)
    try:
        found = path.stat()
    except OSError:  # judging will say so
        return 0, 0
    share = _rows(str(path), found.st_mtime_ns) if isinstance(place, Cell) else 1
    return found.st_size // share, found.st_mtime_ns


def _cell(folder: Path, cell: Cell) -> bytes:
    path = str(folder / cell.file)
    try:
        changed = Path(path).stat().st_mtime_ns
        first, group = next(
            (start, number)
            for start, stop, number in _groups(path, changed)
            if start <= cell.row < stop
        )
    except StopIteration:
        raise PictureError("no such row: the file is shorter than it was; prepare anew") from None
    except (pa.ArrowException, OSError) as error:
        raise PictureError(f"cannot be read ({first_line(error)}): fetch the file again") from None
    try:
        value = _column(path, changed, group, cell.column).at(cell.row - first)
    except (pa.ArrowException, OSError, KeyError, StopIteration) as error:
        _column.cache_clear()  # a reader that failed stands nowhere
        raise PictureError(f"cannot be read ({first_line(error)}): fetch the file again") from None
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise PictureError("no bytes in this cell, only a path: export the set with its pictures")
    return data


@lru_cache(maxsize=8)
def _groups(path: str, changed: int) -> tuple[tuple[int, int, int], ...]:
    """(first row, row after the last, number) of each row group; `changed` only tells versions."""
    with pq.ParquetFile(path) as file:
        metadata = file.metadata
    groups, start = [], 0
    for number in range(metadata.num_row_groups):
        stop = start + metadata.row_group(number).num_rows
        groups.append((start, stop, number))
        start = stop
    return tuple(groups)


def _rows(path: str, changed: int) -> int:
    try:
        return max(1, _groups(path, changed)[-1][1])
    except (pa.ArrowException, OSError, IndexError):
        return 1


class _Column:
    """A column of one row group, read forward some rows at a time: a group may hold gigabytes."""

    def __init__(self, path: str, group: int, column: str) -> None:
        self._path, self._group, self._name = path, group, column
        self._start = 0
        self._values: Any = ()
        self._batches: Iterator[Any] = iter(())
        self._restart()

    def at(self, row: int) -> Any:
        if row < self._start:
            self._restart()
        while row >= self._start + len(self._values):
            self._start += len(self._values)
            self._values = next(self._batches).column(self._name)
        return self._values[row - self._start].as_py()

    def _restart(self) -> None:
        file = pq.ParquetFile(self._path, pre_buffer=False, buffer_size=_BUFFER)
        self._start, self._values = 0, ()
        self._batches = file.iter_batches(_BATCH, row_groups=[self._group], columns=[self._name])


@lru_cache(maxsize=2)  # pictures and labels of the rows that are read one after another
def _column(path: str, changed: int, group: int, column: str) -> _Column:
    return _Column(path, group, column)
