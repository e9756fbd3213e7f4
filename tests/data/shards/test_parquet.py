import weakref
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from afdcd.config import UserError
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.shards.parquet import SCHEMA, Row, write_shard


def test_file_on_disk_is_plain_parquet(prepared: str) -> None:
    file = pq.ParquetFile(Path(prepared) / "val-00000-of-00002.parquet")
    assert file.schema_arrow == SCHEMA
    column = file.metadata.row_group(0).column(2)
    assert column.compression == "UNCOMPRESSED"
    assert column.statistics is None
    assert file.read(columns=["sequence"]).to_pydict() == {"sequence": ["0016E5"]}


class _Watched(Row):
    """A row that can be referred to without keeping it alive."""


def test_rows_are_taken_one_by_one(tmp_path: Path) -> None:
    """So that memory holds the encoded shard alone, never the pictures of all its rows."""
    alive: list[weakref.ref[_Watched]] = []

    def rows() -> Iterator[Row]:
        for number in range(5):
            assert not any(row() is not None for row in alive[:-1])
            row = _Watched(f"a_{number}", bytes([number]) * 1000, b"label", 2, 3)
            alive.append(weakref.ref(row))
            yield row

    shard, lines = write_shard(str(tmp_path), "train", 3, 9, rows())
    assert (shard.file, shard.rows) == ("train-00003-of-00009.parquet", 5)
    data = (tmp_path / shard.file).read_bytes()
    for number, line in enumerate(lines.to_pylist()):
        at = line["image_at"]
        assert data[at : at + line["image_size"]] == bytes([number]) * 1000


@pytest.mark.parametrize("text", ["{", '{"version": 2}', "[]"])
def test_damaged_manifest_names_the_file(prepared: str, text: str) -> None:
    (Path(prepared) / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        read_manifest(prepared)
