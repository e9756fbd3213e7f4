"""Bytes from storage and from a prepared data set, counted."""

from pathlib import Path

import pytest

from afdcd import storage
from afdcd.commands.doctor import speed
from afdcd.commands.doctor.speed import data_read, storage_used
from afdcd.config import UserError
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.text import byte_count


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("synthetic"))
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=1, test=6))
    return root


def test_every_byte_of_a_small_data_set_is_read(root: str) -> None:
    (found,) = data_read(root)
    size = sum(shard.size for shard in read_manifest(root).shards)
    assert found.found.startswith(f"{root}: {byte_count(size)} read, ")


def test_slow_data_is_to_be_mended_and_fast_data_is_not(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for least, slow in ((1.0, False), (1e15, True)):
        monkeypatch.setattr(speed, "LEAST", least)
        (found,) = data_read(root)
        assert bool(found.mend) == slow


def test_of_a_large_data_set_a_part_is_enough(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_PIECE", 100)
    monkeypatch.setattr(speed, "MOST", 300)
    (found,) = data_read(root)
    assert found.found.startswith(f"{root}: 300 B read, ")


def test_a_folder_without_a_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no prepared data set here"):
        data_read(str(tmp_path))


def test_what_is_written_is_removed_even_where_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "can be written" in storage_used(str(tmp_path)).found

    def refuse(uri: str) -> bytes:
        raise storage.StorageError("refused")

    monkeypatch.setattr(storage, "read_bytes", refuse)
    with pytest.raises(storage.StorageError):
        storage_used(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_storage_that_gives_back_other_bytes_is_to_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "read_bytes", lambda uri: b"")
    assert "other bytes" in storage_used(str(tmp_path)).mend
