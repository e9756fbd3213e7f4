from pathlib import Path

import pyarrow.parquet as pq
import pytest

from afdcd.config import UserError
from afdcd.data.manifest import read_manifest
from afdcd.data.shards import SCHEMA


def test_file_on_disk_is_plain_parquet(prepared: str) -> None:
    file = pq.ParquetFile(Path(prepared) / "val-00000-of-00002.parquet")
    assert file.schema_arrow == SCHEMA
    column = file.metadata.row_group(0).column(2)
    assert column.compression == "UNCOMPRESSED"
    assert column.statistics is None
    assert file.read(columns=["sequence"]).to_pydict() == {"sequence": ["0016E5"]}


@pytest.mark.parametrize("text", ["{", '{"version": 2}', "[]"])
def test_damaged_manifest_names_the_file(prepared: str, text: str) -> None:
    (Path(prepared) / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        read_manifest(prepared)
