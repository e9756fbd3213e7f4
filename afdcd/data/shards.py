"""Parquet shards: schema, writer, and a reader that fetches single rows.

One row per row group, no compression (pictures are compressed already) and no statistics: a row is
one range read, so memory stays at one picture whatever the size of the set, on disk and on S3.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import UInt8

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog import PROTOCOLS, SPLITS, Split, dataset_named, sequence_of
from afdcd.data.images import PictureError, decode, to_rgb
from afdcd.data.manifest import Manifest, Shard, read_manifest

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("sequence", pa.string(), nullable=False),
        pa.field("image", pa.large_binary(), nullable=False),  # as shipped, any mode
        pa.field("label", pa.large_binary(), nullable=False),  # 8-bit PNG of train ids
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Row:
    """One picture as it is stored; `image` and `label` are encoded."""

    key: str
    image: bytes
    label: bytes
    height: int
    width: int


def write_shard(root: str, split: Split, index: int, count: int, rows: Sequence[Row]) -> Shard:
    """Write shard `index` of `count`; equal rows give equal bytes."""
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
    return Shard(
        file=file, split=split, size=len(data), sha256=digest, keys=tuple(row.key for row in rows)
    )


def _table(row: Row) -> pa.Table:
    values = [row.key, sequence_of(row.key), row.image, row.label, row.height, row.width]
    return pa.table([pa.array([v], f.type) for v, f in zip(values, SCHEMA, strict=True)], SCHEMA)


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
        elif hashlib.sha256(storage.read_bytes(uri)).hexdigest() != shard.sha256:
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
    """The rows of one role as (key, image, label); files are opened by the process that reads."""

    def __init__(self, root: str, places: Sequence[tuple[Shard, int]]) -> None:
        self._root = root
        self._places = places
        self._files: dict[str, pq.ParquetFile] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}  # open files do not travel to another process

    def key(self, index: int) -> str:
        shard, row = self._places[index]
        return shard.keys[row]

    def __getitem__(
        self, index: int
    ) -> tuple[str, UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
        """Raises UserError, with shard and key, if what is stored cannot be read."""
        shard, row = self._places[index]
        try:
            stored = self._file(shard).read_row_group(row, use_threads=False).to_pylist()[0]
            image, label = to_rgb(decode(stored["image"])), np.array(decode(stored["label"]))
            if stored["key"] != shard.keys[row] or image.shape[:2] != label.shape:
                raise PictureError("not what the manifest says")
        except (PictureError, pa.ArrowException, OSError) as error:
            raise UserError(
                f"{storage.join(self._root, shard.file)}: row {shard.keys[row]!r} cannot be read: "
                f"{str(error).splitlines()[0]}; prepare the data set again"
            ) from None
        return shard.keys[row], image, label

    def _file(self, shard: Shard) -> pq.ParquetFile:
        if shard.file not in self._files:
            files, path = storage.resolve(storage.join(self._root, shard.file))
            # pyarrow maps local files and fetches ranges of remote ones.
            source = files.open_input_file(path)
            if source.size() != shard.size:
                raise OSError(f"shard has {source.size()} bytes instead of {shard.size}")
            self._files[shard.file] = pq.ParquetFile(source)
        return self._files[shard.file]


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
    places = [
        (shard, row)
        for shard in manifest.shards
        for row, key in enumerate(shard.keys)
        if known.role(protocol, shard.split, key) == role
    ]
    if not places:
        raise UserError(f"{root}: no row for {role!r} under protocol {protocol!r}; prepare more")
    return Rows(root, places)
