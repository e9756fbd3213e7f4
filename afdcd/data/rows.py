"""The rows of a prepared data set, each fetched by one range read, from disk or from S3.

The index says where a row's bytes are. Reading through the Parquet footers instead would hold 2 MB
per shard in each process.
"""

import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8
from pyarrow import fs

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog import PROTOCOLS, SPLITS, dataset_named
from afdcd.data.images import PictureError, decode, to_rgb
from afdcd.data.manifest import Shard, read_index, read_manifest
from afdcd.data.shards import INDEX_SCHEMA, Row

_OPEN_FILES = 64


class Rows:
    """The rows of one role; files are opened by the process that reads.

    Holds about 100 bytes per row, whatever the size of the pictures.
    """

    def __init__(self, root: str, shards: Sequence[Shard], index: pa.Table) -> None:
        self._root = root
        self._shards = shards
        self._keys = index["key"].combine_chunks()
        self._places = np.stack(
            [index[name].to_numpy().astype(np.int64) for name in INDEX_SCHEMA.names[1:]], axis=1
        )
        self._files: OrderedDict[int, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict()}  # open files do not travel

    def key(self, index: int) -> str:
        return str(self._keys[index].as_py())

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) in pixels, without a look at the picture."""
        return int(self._places[index, 1]), int(self._places[index, 2])

    def fetch(self, index: int) -> Row:
        """The encoded row, by one range read.

        Raises:
            UserError: with shard and key, if what is stored is not what was written.
        """
        shard, height, width, at, image, label_at, label, crc = self._places[index].tolist()
        try:
            data = self._read(shard, at, label_at + label - at)
            row = Row(self.key(index), data[:image], data[label_at - at :], height, width)
            if zlib.crc32(row.label, zlib.crc32(row.image)) != crc:
                raise OSError("its bytes differ from what was written")
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(index, error) from None
        return row

    def __getitem__(
        self, index: int
    ) -> tuple[str, UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
        """Key, image and train ids. Raises UserError, with shard and key, as `fetch` does."""
        row = self.fetch(index)
        try:
            return row.key, to_rgb(decode(row.image)), np.array(decode(row.label))
        except PictureError as error:
            raise self._unreadable(index, error) from None

    def _unreadable(self, index: int, error: Exception) -> UserError:
        file = self._shards[int(self._places[index, 0])].file
        return UserError(
            f"{storage.join(self._root, file)}: row {self.key(index)!r} cannot be read: "
            f"{str(error).splitlines()[0]}; prepare the data set again"
        )

    def _read(self, shard: int, at: int, size: int) -> bytes:
        file = self._files.pop(shard, None)
        if file is None:
            files, path = storage.resolve(storage.join(self._root, self._shards[shard].file))
            if isinstance(files, fs.LocalFileSystem):
                files = (
                    fs.LocalFileSystem()
                )  # not mapped: mapped pages count as this process's memory
            file = files.open_input_file(path)
        self._files[shard] = file
        if len(self._files) > _OPEN_FILES:
            self._files.popitem(last=False)
        data: bytes = file.read_at(size, at)
        if len(data) != size:
            raise OSError(f"the shard ends after {file.size()} bytes")
        return data


def open_split(root: str, dataset: str, protocol: str, role: str) -> Rows:
    """The rows that `role` ("train", "val", "test") has under `protocol`, in manifest order.

    Raises:
        UserError: not prepared, another data set, a wrong name, or no row has this role.
    """
    known = dataset_named(dataset)
    for kind, name, names in (("protocol", protocol, PROTOCOLS), ("role", role, SPLITS)):
        if name not in names:
            raise UserError(f"{name!r} is no {kind}; known: {', '.join(names)}")
    manifest = read_manifest(root, dataset)
    if manifest.classes != known.classes:
        raise UserError(f"{root}: prepared with other classes; prepare the data set again")
    index = read_index(root, manifest)
    splits = [manifest.shards[number].split for number in index["shard"].to_pylist()]
    kept = [
        known.role(protocol, split, key) == role
        for split, key in zip(splits, index["key"].to_pylist(), strict=True)
    ]
    if not any(kept):
        raise UserError(f"{root}: no row for {role!r} under protocol {protocol!r}; prepare more")
    return Rows(root, manifest.shards, index.filter(pa.array(kept)))
