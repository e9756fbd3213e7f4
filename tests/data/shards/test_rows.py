"""The reader of prepared rows: what it gives back, what it reports, what it survives."""

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.shards import rows as rows_module
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.shards.parquet import check_shards
from afdcd.data.shards.rows import Rows, open_split, open_splits
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import train_batches
from afdcd.data.train.prefetch import fetch_ahead
from tests.stores import s3_server, store

__all__ = ["s3_server", "store"]  # fixtures


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


def test_the_index_is_read_once_for_all_roles(
    prepared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, alone = read_manifest(prepared), open_split(prepared, "camvid", "dev", "val")
    asked, read = [], storage.read_bytes

    def counted(uri: str) -> bytes:
        asked.append(uri.rpartition("/")[2])
        return read(uri)

    monkeypatch.setattr(storage, "read_bytes", counted)
    rows = open_splits(prepared, manifest, "dev", ("train", "val"))
    assert asked == ["index.parquet"]
    assert [rows["val"].key(n) for n in range(2)] == [alone.key(n) for n in range(2)]


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
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(
        UserError, match=f"{shard}: row '0016E5_07959' cannot be read: the shard ends"
    ):
        open_split(prepared, "camvid", "official", "val")[0]
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


def test_size_and_bytes_are_known_without_reading(prepared: str) -> None:
    rows = open_split(prepared, "camvid", "official", "val")
    row = rows.fetch(1)
    for shard in Path(prepared).glob("*-of-*"):
        shard.unlink()
    assert rows.size(1) == (24, 32)
    assert len(row.image) + len(row.label) <= rows.stored(1) < len(row.image) + len(row.label) + 200


def test_many_threads_read_what_one_reads(prepared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_OPEN_FILES", 1)  # so that files are closed all the time
    rows = open_split(prepared, "camvid", "official", "train")
    alone = [rows.fetch(index) for index in range(5)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(rows.fetch, [index % 5 for index in range(400)]))
    assert found == alone * 80


@pytest.mark.parametrize(
    ("ahead", "most"), [(0, 10**9), (1, 10**9), (3, 10**9), (8, 10**9), (8, 1)]
)
def test_rows_fetched_ahead_come_in_order_and_bounded(
    prepared: str, monkeypatch: pytest.MonkeyPatch, ahead: int, most: int
) -> None:
    rows = open_split(prepared, "camvid", "official", "train")
    wanted = [3, 0, 4, 4, 1, 2, 0]
    asked: list[int] = []
    fetch = Rows.fetch
    monkeypatch.setattr(Rows, "fetch", lambda self, i: (asked.append(i), fetch(self, i))[1])
    for count, (index, row) in enumerate(fetch_ahead(rows, wanted, ahead, most), 1):
        assert index == wanted[count - 1]
        assert row.key == rows.key(index)
        in_flight = 1 if most == 1 else max(1, ahead)
        assert len(asked) <= count - 1 + in_flight
    assert sorted(asked) == sorted(wanted)


def test_a_row_that_cannot_be_read_ahead_is_reported_in_its_turn(
    prepared: str, corrupt: Callable[[Path, bytes], None]
) -> None:
    corrupt(Path(prepared) / "train-00001-of-00002.parquet", b"IHDR")
    rows = open_split(prepared, "camvid", "official", "train")
    fetched = fetch_ahead(rows, [0, 1, 2, 3], 4)
    assert [next(fetched)[0] for _ in range(2)] == [0, 1]
    with pytest.raises(UserError, match="row '0006R0_f00930' cannot be read: its bytes differ"):
        next(fetched)


class _Flaky:
    """A file of a store whose first `failures` reads are cut off by the network."""

    def __init__(self, file: Any, failures: int) -> None:
        self.file, self.failures, self.reads = file, failures, 0

    def read_at(self, size: int, at: int) -> bytes:
        self.reads += 1
        if self.reads <= self.failures:
            raise OSError("AWS Error NETWORK_CONNECTION during GetObject operation")
        return bytes(self.file.read_at(size, at))


@pytest.fixture
def stored(prepared: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Rows, list[float]]]:
    """Rows that take their folder for a store, and the seconds that they waited."""
    waited: list[float] = []
    monkeypatch.setattr(rows_module.time, "sleep", waited.append)
    monkeypatch.setattr(rows_module._Files, "_local", False)
    yield open_split(prepared, "camvid", "official", "val"), waited


def _fail(rows: Rows, failures: int) -> _Flaky:
    flaky = _Flaky(rows._opened._file(2), failures)
    rows._opened._file = lambda shard: flaky
    return flaky


def test_a_store_is_asked_again(stored: tuple[Rows, list[float]]) -> None:
    rows, waited = stored
    expected = rows.fetch(0)
    _fail(rows, 2)
    assert rows.fetch(0) == expected
    assert waited == [0.2, 1.0]


def test_a_store_that_stays_away_is_reported_with_shard_and_key(
    stored: tuple[Rows, list[float]],
) -> None:
    rows, waited = stored
    flaky = _fail(rows, 99)
    with pytest.raises(
        UserError,
        match=r"val-00000-of-00002.*'0016E5_07959'.*NETWORK_CONNECTION.*the store, then run",
    ):
        rows.fetch(0)
    assert (flaky.reads, len(waited)) == (4, 3)


def test_what_is_missing_or_changed_is_not_asked_for_again(
    prepared: str, stored: tuple[Rows, list[float]], corrupt: Callable[[Path, bytes], None]
) -> None:
    rows, waited = stored
    corrupt(Path(prepared) / "val-00000-of-00002.parquet", b"IHDR")
    with pytest.raises(UserError, match="its bytes differ"):
        rows.fetch(0)
    (Path(prepared) / "val-00001-of-00002.parquet").unlink()
    with pytest.raises(
        UserError, match=r"row '0016E5_07961' cannot be read: .*; prepare the data set again"
    ):
        rows.fetch(1)
    assert waited == []


def test_batches_from_an_object_store_are_those_from_a_folder(prepared: str, store: str) -> None:
    place = {"seed": 1, "batch": 4, "rank": 0, "world": 1, "start": 0, "stop": 3}
    config = DataConfig(dataset="camvid", root=prepared, crop=(32, 40))
    expected = list(train_batches(config, prepared, **place))
    for path in Path(prepared).iterdir():
        storage.write_bytes(storage.join(store, path.name), path.read_bytes())
    for workers in (0, 2):
        found = list(train_batches(config.updated(loader_workers=workers), store, **place))
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            assert all(map(np.array_equal, ours, theirs))
