import pickle
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.manifest import read_manifest
from afdcd.data.rows import open_split
from afdcd.data.shards import SCHEMA, Row, check_shards, check_sizes, write_shard


def test_rows_are_the_raw_pixels_in_listed_order(raw: Path, prepared: str) -> None:
    rows = open_split(prepared, "camvid", "official", "train")
    assert len(rows) == 5
    keys = []
    for key, image, label in rows:
        keys.append(key)
        original = np.asarray(Image.open(raw / "trainannot" / f"{key}.png"))
        np.testing.assert_array_equal(image, np.asarray(Image.open(raw / "train" / f"{key}.png")))
        np.testing.assert_array_equal(label, np.where(original == 11, 255, original))
    assert keys == [rows.key(index) for index in range(5)]
    assert keys[0] == "0001TP_006690"


def test_dev_protocol_holds_a_train_sequence_out(prepared: str) -> None:
    keys = {
        role: [key for key, _, _ in open_split(prepared, "camvid", "dev", role)]
        for role in ("train", "val", "test")
    }
    assert keys["train"] == ["0001TP_006690", "0001TP_006720", "0016E5_00390"]
    assert keys["val"] == ["0006R0_f00930", "0006R0_f00960"]
    assert keys["test"] == ["Seq05VD_f00000", "Seq05VD_f00030"]


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


def test_rows_travel_to_another_process_after_use(prepared: str) -> None:
    rows = open_split(prepared, "camvid", "official", "val")
    before = rows[0]
    after = pickle.loads(pickle.dumps(rows))[0]
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])


def test_damaged_row_is_reported_with_shard_and_key(
    prepared: str, corrupt: Callable[[Path, bytes], None]
) -> None:
    shard = Path(prepared) / "train-00001-of-00002.parquet"
    corrupt(shard, b"IHDR")
    rows = open_split(prepared, "camvid", "official", "train")
    with pytest.raises(UserError, match=f"{shard}: row '0006R0_f00930' cannot be read: .*again"):
        rows[2]
    assert rows[3][0] == "0006R0_f00960"
    with pytest.raises(UserError, match=f"{shard}: differs from its sha256"):
        check_shards(prepared, read_manifest(prepared))


def test_cut_or_missing_shard_is_reported(prepared: str) -> None:
    shard = Path(prepared) / "val-00000-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:200])
    message = f"{shard}: row '0016E5_07959' cannot be read: the shard ends after 200 bytes"
    with pytest.raises(UserError, match=message):
        open_split(prepared, "camvid", "official", "val")[0]
    with pytest.raises(UserError, match=f"{shard}: 200 bytes instead of"):
        check_sizes(prepared, read_manifest(prepared))
    shard.unlink()
    with pytest.raises(UserError, match="row '0016E5_07959' cannot be read"):
        open_split(prepared, "camvid", "official", "val")[0]
    with pytest.raises(UserError, match=f"{shard}: missing"):
        check_shards(prepared, read_manifest(prepared))


def test_folder_without_manifest_names_the_command(prepared: str) -> None:
    (Path(prepared) / "manifest.json").unlink()
    command = f"python -m afdcd.prepare camvid --source RAW --out {prepared}"
    with pytest.raises(UserError, match=command):
        open_split(prepared, "camvid", "dev", "train")


@pytest.mark.parametrize("text", ["{", '{"version": 1}', "[]"])
def test_damaged_manifest_names_the_file(prepared: str, text: str) -> None:
    (Path(prepared) / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        read_manifest(prepared)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("synthetic", "dev", "train"), "holds 'camvid', not 'synthetic'"),
        (("camvid", "devel", "train"), "'devel' is no protocol; known: official, dev"),
        (("camvid", "dev", "holdout"), "'holdout' is no role; known: train, val, test"),
    ],
)
def test_wrong_names(prepared: str, arguments: tuple[str, str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_split(prepared, *arguments)
