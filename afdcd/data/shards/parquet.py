"""Parquet shards: schema, writer, checks.

One row per row group, no compression (pictures are compressed already), so the bytes of a row stand
in one piece in the file. The index says where.
"""

import hashlib
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.held_out import sequence_of
from afdcd.data.catalog.splits import Split
from afdcd.data.shards.manifest import Manifest, Shard

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


@dataclass(frozen=True, slots=True)
class Row:
    """One picture as it is stored; `image` and `label` are encoded."""

    key: str
    image: bytes
    label: bytes
    height: int
    width: int


def shard_file(split: Split, index: int, count: int) -> str:
    return f"{split}-{index:05d}-of-{count:05d}.parquet"


def write_shard(
    root: str, split: Split, index: int, count: int, rows: Iterable[Row]
) -> tuple[Shard, pa.Table]:
    """Write shard `index` of `count`; equal rows give equal bytes.

    Takes the rows one by one, and holds the encoded shard alone. Returns it with its lines of the
    index, whose column `shard` is 0: its place among all shards is known to the caller
    (`join_index`).
    """
    stream = io.BytesIO()
    lines: list[_Line] = []
    with pq.ParquetWriter(
        stream, SCHEMA, compression="none", use_dictionary=False, write_statistics=False
    ) as writer:
        for row in rows:
            writer.write_table(_table(row))
            lines.append(_Line.of(row))
    data = stream.getbuffer()
    file = shard_file(split, index, count)
    storage.write_bytes(storage.join(root, file), data)
    digest = hashlib.sha256(data).hexdigest()
    shard = Shard(file=file, split=split, rows=len(lines), size=len(data), sha256=digest)
    return shard, _index_lines(data, lines)


def _table(row: Row) -> pa.Table:
    values = [row.key, sequence_of(row.key), row.height, row.width, row.image, row.label]
    return pa.table([pa.array([v], f.type) for v, f in zip(values, SCHEMA, strict=True)], SCHEMA)


@dataclass(frozen=True, slots=True)
class _Line:
    """What the index needs of a row once the row itself is gone."""

    key: str
    height: int
    width: int
    image: int
    label: int
    crc: int

    @classmethod
    def of(cls, row: Row) -> "_Line":
        crc = zlib.crc32(row.label, zlib.crc32(row.image))
        return cls(row.key, row.height, row.width, len(row.image), len(row.label), crc)


def _index_lines(data: memoryview, rows: Sequence[_Line]) -> pa.Table:
    metadata = pq.ParquetFile(pa.BufferReader(data)).metadata
    lines = []
    for number, row in enumerate(rows):
        group = metadata.row_group(number)
        ends = []
        for name in ("image", "label"):
            column = group.column(SCHEMA.get_field_index(name))
            # A plain page of one value ends with the value.
            ends.append(column.data_page_offset + column.total_compressed_size)
        image_at, label_at = ends[0] - row.image, ends[1] - row.label
        if zlib.crc32(data[label_at : ends[1]], zlib.crc32(data[image_at : ends[0]])) != row.crc:
            raise RuntimeError("pyarrow no longer writes plain pages; pin an older one")
        places = [image_at, row.image, label_at, row.label]
        lines.append([row.key, 0, row.height, row.width, *places, row.crc])
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
