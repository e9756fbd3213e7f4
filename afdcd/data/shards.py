"""Parquet shards: schema, writer, and a reader that fetches single rows.

One row per row group, no compression (pictures are compressed already), so the bytes of a row stand
in one piece in the file. The index says where: a row is one range read, on disk and on S3. Reading
through the Parquet footers would hold 2 MB per shard in each process.
"""

import hashlib
import io
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import UInt8
from pyarrow import fs

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog import PROTOCOLS, SPLITS, Split, dataset_named, sequence_of
from afdcd.data.images import PictureError, decode, to_rgb
from afdcd.data.manifest import Manifest, Shard, read_index, read_manifest

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("sequence", pa.string(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("image", pa.large_binary(), nullable=False),  # as shipped, any mode
        pa.field("label", pa.large_binary(), nullable=False),  # 8-bit PNG of train ids
    ]
)
INDEX_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),  # position in the manifest
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("image_at", pa.int64(), nullable=False),  # bytes from the start of the shard
        pa.field("image_size", pa.int64(), nullable=False),
        pa.field("label_at", pa.int64(), nullable=False),
        pa.field("label_size", pa.int64(), nullable=False),
        pa.field("crc32", pa.uint32(), nullable=False),  # of the image's bytes, then the label's
    ]
)
_OPEN_FILES = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One picture as it is stored; `image` and `label` are encoded."""

    key: str
    image: bytes
    label: bytes
    height: int
    width: int


def write_shard(
    root: str, split: Split, index: int, count: int, rows: Sequence[Row]
) -> tuple[Shard, pa.Table]:
    """Write shard `index` of `count`; equal rows give equal bytes.

    Returns it with its lines of the index, whose column `shard` is 0: its place among all shards is
    known to the caller (`join_index`).
    """
    stream = io.BytesIO()
    with pq.ParquetWriter(
        stream, SCHEMA, compression="none", use_dictionary=False, write_statistics=False
    ) as writer:
        for row in rows:
            writer.write_table(_table(row))
    data = stream.getvalue()
    file = f"{split}-{index:05d}-of-{count:05d}.parquet"
    storage.write_bytes(storage.join(root, file), data)
    digest = hashlib.sha256(data).hexdigest()
    shard = Shard(file=file, split=split, rows=len(rows), size=len(data), sha256=digest)
    return shard, _index_lines(data, rows)


def _table(row: Row) -> pa.Table:
    values = [row.key, sequence_of(row.key), row.height, row.width, row.image, row.label]
    return pa.table([pa.array([v], f.type) for v, f in zip(values, SCHEMA, strict=True)], SCHEMA)


def _index_lines(data: bytes, rows: Sequence[Row]) -> pa.Table:
    metadata = pq.ParquetFile(io.BytesIO(data)).metadata
    lines = []
    for number, row in enumerate(rows):
        group = metadata.row_group(number)
        places = []
        for name, value in (("image", row.image), ("label", row.label)):
            column = group.column(SCHEMA.get_field_index(name))
            # A plain page of one value ends with the value.
            at = column.data_page_offset + column.total_compressed_size - len(value)
            if data[at : at + len(value)] != value:
                raise RuntimeError("pyarrow no longer writes plain pages; pin an older one")
            places += [at, len(value)]
        crc = zlib.crc32(row.label, zlib.crc32(row.image))
        lines.append([row.key, 0, row.height, row.width, *places, crc])
    columns = zip(*lines, strict=True) if lines else [[]] * len(INDEX_SCHEMA)
    arrays = [pa.array(list(c), f.type) for c, f in zip(columns, INDEX_SCHEMA, strict=True)]
    return pa.table(arrays, INDEX_SCHEMA)


def join_index(parts: Sequence[pa.Table]) -> pa.Table:
    """The index of all shards from the lines of each, in the manifest's order."""
    column = INDEX_SCHEMA.get_field_index("shard")
    numbered = [
        part.set_column(
            column, INDEX_SCHEMA.field(column), pa.array([number] * len(part), pa.int32())
        )
        for number, part in enumerate(parts)
    ]
    return pa.concat_tables(numbered) if numbered else INDEX_SCHEMA.empty_table()


def check_shards(root: str, manifest: Manifest) -> None:
    """Compare every shard with its sha256.

    Raises:
        UserError: the shards that are missing or differ, one line each.
    """
    bad = []
    for shard in manifest.shards:
        uri = storage.join(root, shard.file)
        if not storage.exists(uri):
            bad.append(f"{uri}: missing; prepare the data set again")
        elif storage.sha256(uri) != shard.sha256:
            bad.append(f"{uri}: differs from its sha256; prepare the data set again")
    if bad:
        raise UserError("\n".join(bad))


def check_sizes(root: str, manifest: Manifest) -> None:
    """`check_shards` in a moment: existence and size, not content.

    Raises:
        UserError: the shards that are missing or were cut short, one line each.
    """
    bad = []
    for shard in manifest.shards:
        uri = storage.join(root, shard.file)
        size = storage.size(uri)
        if size != shard.size:
            found = "missing" if size is None else f"{size} bytes instead of {shard.size}"
            bad.append(f"{uri}: {found}; prepare the data set again")
    if bad:
        raise UserError("\n".join(bad))


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
