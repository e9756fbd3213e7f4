"""The rows of a prepared data set, each fetched by one range read, from disk or from S3.

The index says where a row's bytes are. Reading through the Parquet footers instead would hold 2 MB
per shard in each process.
"""

import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8
from numpy.typing import NDArray
from pyarrow import fs

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.splits import PROTOCOLS, SPLITS, UNLABELLED
from afdcd.data.images import PictureError
from afdcd.data.pixels import image_pixels, label_pixels
from afdcd.data.shards.described import described
from afdcd.data.shards.manifest import Manifest, Shard, read_index, read_manifest
from afdcd.data.shards.parquet import INDEX_SCHEMA, Row
from afdcd.text import first_line

_OPEN_FILES = 64  # of a disk: each takes a descriptor
_OPEN_OBJECTS = 1024  # of a store: each takes a round trip to open, and nothing but memory to keep
_WAITS = (0.2, 1.0, 5.0)  # seconds before a store is asked again
_AT_ONCE = 4096  # keys that exist as Python strings at one time

# 44 bytes, in the order of the index.
_PLACE = np.dtype(
    [
        ("shard", np.int32),
        ("height", np.int32),
        ("width", np.int32),
        ("image_at", np.int64),
        ("image_size", np.int32),
        ("label_at", np.int64),
        ("label_size", np.int32),
        ("crc32", np.uint32),
    ]
)


class _DamagedError(Exception):
    """What is stored is not what was written: asking again would give the same."""


class Rows:
    """The rows of one role; files are opened by the process that reads, which may use threads.

    Holds about 50 bytes per row and the keys of the index, whatever the size of the pictures.

    Attributes:
        unlabelled: indices of those that nobody labelled.
    """

    def __init__(
        self, root: str, shards: Sequence[Shard], index: pa.Table, kept: NDArray[np.bool_]
    ) -> None:
        self._root = root
        self._shards = tuple(shard.file for shard in shards)
        # Neither index.filter nor to_numpy: they load pyarrow's functions and pandas, 30 MB each.
        self._lines = np.flatnonzero(kept).astype(np.int32)
        self._keys = index["key"].combine_chunks()
        self._places = np.empty(len(self._lines), dtype=_PLACE)
        for name in INDEX_SCHEMA.names[1:]:
            self._places[name] = np.from_dlpack(index[name].combine_chunks())[self._lines]
        lacking = [number for number, shard in enumerate(shards) if shard.split == UNLABELLED]
        self.unlabelled = np.flatnonzero(np.isin(self._places["shard"], lacking))
        self._opened = _Files(root, self._shards)

    def __len__(self) -> int:
        return len(self._places)

    def __getstate__(self) -> dict[str, Any]:
        # Open files do not travel.
        return {**self.__dict__, "_opened": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _opened=_Files(state["_root"], state["_shards"]))

    def key(self, index: int) -> str:
        return str(self._keys[int(self._lines[index])].as_py())

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) in pixels, without a look at the picture."""
        return int(self._places["height"][index]), int(self._places["width"][index])

    def stored(self, index: int) -> int:
        """Bytes that `fetch` reads."""
        _, _, _, at, _, label_at, label, _ = self._places[index].tolist()
        return int(label_at + label - at)

    def fetch(self, index: int) -> Row:
        """The encoded row, by one range read; a store that fails is asked again a few times.

        Raises:
            UserError: with shard and key, if what is stored is not what was written.
        """
        shard, height, width, at, image, label_at, label, crc = self._places[index].tolist()
        try:
            data = self._opened.read(shard, at, label_at + label - at)
            row = Row(self.key(index), data[:image], data[label_at - at :], height, width)
            if zlib.crc32(row.label, zlib.crc32(row.image)) != crc:
                raise _DamagedError("its bytes differ from what was written")
        except (pa.ArrowException, OSError, _DamagedError) as error:
            raise self._unreadable(index, error) from None
        return row

    def image(self, index: int, row: Row, rows: int | None = None) -> UInt8[np.ndarray, "H W 3"]:
        """RGB of the fetched row `index`, at least its first `rows` rows of pixels.

        Raises:
            UserError: with shard and key, if the picture cannot be decoded; so does `label`.
        """
        try:
            return image_pixels(row.image, rows)
        except PictureError as error:
            raise self._unreadable(index, error) from None

    def label(self, index: int, row: Row, rows: int | None = None) -> UInt8[np.ndarray, "H W"]:
        """Train ids of the fetched row `index`, at least their first `rows` rows."""
        try:
            return label_pixels(row.label, rows)
        except PictureError as error:
            raise self._unreadable(index, error) from None

    def __getitem__(
        self, index: int
    ) -> tuple[str, UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
        """Key, image and train ids. Raises UserError, with shard and key, as `fetch` does."""
        row = self.fetch(index)
        return row.key, self.image(index, row), self.label(index, row).copy()

    def _unreadable(self, index: int, error: Exception) -> UserError:
        file = self._shards[int(self._places["shard"][index])]
        away = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        remedy = "see to the disk or the store, then run" if away else "prepare the data set"
        return UserError(
            f"{storage.join(self._root, file)}: row {self.key(index)!r} cannot be read: "
            f"{first_line(error)}; {remedy} again"
        )


class _Files:
    """The shards that this process has open; several threads may read at once."""

    def __init__(self, root: str, names: Sequence[str]) -> None:
        self._root, self._names = root, names
        self._lock = threading.Lock()
        self._store: tuple[fs.FileSystem, str] | None = None
        self._open: OrderedDict[int, Any] = OrderedDict()

    def read(self, shard: int, at: int, size: int) -> bytes:
        waits = iter(_WAITS)
        while True:
            try:
                return self._read(shard, at, size)
            except FileNotFoundError:
                raise
            except OSError:
                wait = next(waits, None)
                if wait is None or self._local:
                    raise
            with self._lock:
                self._open.pop(shard, None)
            time.sleep(wait)

    @property
    def _local(self) -> bool:
        return self._store is not None and isinstance(self._store[0], fs.LocalFileSystem)

    def _read(self, shard: int, at: int, size: int) -> bytes:
        file = self._file(shard)
        data: bytes = file.read_at(size, at)
        if len(data) != size:
            raise _DamagedError(f"the shard ends after {file.size()} bytes")
        return data

    def _file(self, shard: int) -> Any:
        with self._lock:
            file = self._open.pop(shard, None)
            self._store = self._store or self._connect()
        if file is None:  # opened without the lock: a round trip must not hold up other threads
            files, folder = self._store
            file = files.open_input_file(f"{folder}/{self._names[shard]}")
        with self._lock:
            self._open[shard] = file
            if len(self._open) > (_OPEN_FILES if self._local else _OPEN_OBJECTS):
                self._open.popitem(last=False)  # closed when the last thread that reads it is done
        return file

    def _connect(self) -> tuple[fs.FileSystem, str]:
        """One client for all shards: each new one would connect and look up the bucket again."""
        files, folder = storage.resolve(self._root)
        if isinstance(files, fs.LocalFileSystem):
            files = fs.LocalFileSystem()  # mapped pages would count as this process's memory
        return files, folder.rstrip("/")


def open_split(root: str, dataset: str, protocol: str, role: str) -> Rows:
    """The rows that `role` ("train", "val", "test") has under `protocol`, in manifest order.

    Raises:
        UserError: not prepared, another data set, a wrong name, or no row has this role.
    """
    for kind, name, names in (("protocol", protocol, PROTOCOLS), ("role", role, SPLITS)):
        if name not in names:
            raise UserError(f"{name!r} is no {kind}; known: {', '.join(names)}")
    return open_splits(root, read_manifest(root, dataset), protocol, [role])[role]


def open_splits(
    root: str, manifest: Manifest, protocol: str, roles: Sequence[str]
) -> dict[str, Rows]:
    """The rows of several roles, for which the index is read once.

    Raises:
        UserError: as `open_split` does.
    """
    known = described(manifest)
    if manifest.classes != known.classes:
        raise UserError(f"{root}: prepared with other classes; prepare the data set again")
    index = read_index(root, manifest)
    rows = {}
    for role in roles:
        kept = _with_role(index, manifest, known, protocol, role)
        if not kept.any():
            raise UserError(_none_of(role, root, known, protocol))
        rows[role] = Rows(root, manifest.shards, index, kept)
    del index
    pa.default_memory_pool().release_unused()
    return rows


def _none_of(role: str, root: str, known: Dataset, protocol: str) -> str:
    rule = f", which selects on {known.selects} of train" if protocol == "dev" else ""
    other = ", or set data.protocol: official" if protocol == "dev" else ""
    return f"{root}: no row for {role!r} under protocol {protocol!r}{rule}; prepare more{other}"


def _with_role(
    index: pa.Table, manifest: Manifest, known: Dataset, protocol: str, role: str
) -> NDArray[np.bool_]:
    splits = [shard.split for shard in manifest.shards]
    kept = np.empty(len(index), dtype=bool)
    for start in range(0, len(index), _AT_ONCE):
        part = index.slice(start, _AT_ONCE)
        pairs = zip(part["shard"].to_pylist(), part["key"].to_pylist(), strict=True)
        kept[start : start + len(part)] = [
            known.role(protocol, splits[shard], key) == role for shard, key in pairs
        ]
    return kept
