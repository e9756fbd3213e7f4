import errno
import os
from pathlib import Path
from typing import Any

import boto3
import pytest
from pyarrow import fs

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.tracking.registry import fetch
from tests.running import Study, finish, kill_tree
from tests.stores import s3_server, store

__all__ = ["s3_server", "store"]  # fixtures


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_writes_reads_and_finds_files_in_new_folders(tmp_path: Path, prefix: str) -> None:
    uri = storage.join(f"{prefix}{tmp_path}/", "new", "a.bin")
    assert not storage.exists(uri)
    storage.write_bytes(uri, b"one")
    storage.write_bytes(uri, b"two")
    assert storage.read_bytes(uri) == b"two"
    assert storage.exists(uri)
    assert not storage.exists(storage.join(f"{prefix}{tmp_path}", "new"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.bin"]


@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("links", [True, False])
def test_of_two_that_write_once_the_first_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, links: bool
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr("os.link", refused)
    uri = storage.join(f"{prefix}{tmp_path}", "new", "a.json")
    assert storage.write_once(uri, b"one") == b"one"
    assert storage.write_once(uri, b"two") == b"one"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


def test_relative_paths_and_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage.write_bytes("100% #1.gz", b"not compressed")
    assert (tmp_path / "100% #1.gz").read_bytes() == b"not compressed"
    assert storage.read_bytes("100% #1.gz") == b"not compressed"


def test_unknown_scheme_is_a_users_error() -> None:
    with pytest.raises(UserError, match="nosuch://bucket/x: cannot be opened"):
        storage.read_bytes("nosuch://bucket/x")


def test_missing_file_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(str(tmp_path / "none"))


class _FullStream:
    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> "_FullStream":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def write(self, data: bytes) -> None:
        Path(self._path).write_bytes(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")


class _FullDisk:
    def __init__(self) -> None:
        self._real = fs.LocalFileSystem()

    def open_output_stream(self, path: str, **_: Any) -> _FullStream:
        return _FullStream(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_full_disk_keeps_the_old_file_and_leaves_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    monkeypatch.setattr(storage, "resolve", lambda uri: (_FullDisk(), uri))
    with pytest.raises(UserError, match="no space left") as error:
        storage.write_bytes(str(target), b"newer")
    assert "\n" not in str(error.value)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("uri", "joined"),
    [
        ("s3://b/x", "s3://b/x/a/b"),
        ("s3://b/x/?region=eu&scheme=http", "s3://b/x/a/b?region=eu&scheme=http"),
        ("what?", "what?/a/b"),
        ("/", "/a/b"),
    ],
)
def test_join_keeps_a_uri_s_options_at_its_end(uri: str, joined: str) -> None:
    assert storage.join(uri, "a", "b") == joined


WITH_TEACHER = """
data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher:
    model: {head: pspnet, encoder: "timm:lcnet_050"}
    train: {iterations: 2, validate_every: 2, batch: 4}
distiller: {method: kd}
training: {iterations: 4, validate_every: 2, batch: 4, lr: {choice: [0.01, 0.02]}}
study: {trials: 1, proof: {seeds: 0}}
"""


@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(600)
def test_a_study_whose_every_place_is_a_uri_with_options(
    store: str, s3_server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C7: names stand before the options, also for Ray Train, Tune, teachers, data and MLflow."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    options = f"?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{s3_server}"
    root, data = f"{store}/runs{options}", f"{store}/data{options}"
    prepare_synthetic(data, SyntheticConfig(height=64, width=64, train=36, val=1, test=1))
    study = Study(tmp_path, WITH_TEACHER.replace("ROOT", f"'{data}'"))
    study.environment |= {
        "AFDCD_STORAGE": root,
        "AFDCD_STUDY_DB": f"sqlite:///{tmp_path}/study.db",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
    }
    process = study.start()
    try:
        finish(process)
    finally:
        kill_tree(process)
    found = storage.walk(root)
    trial = "studies/tiny/trials/0000/"
    assert {f"{trial}student.safetensors", f"{trial}journal/00000004.json"} <= set(found)
    assert not [f for f in found if f.startswith(f"{trial}train/iteration_")]  # it is complete
    assert [f for f in found if f.startswith("teachers/teacher-") and f.endswith(".safetensors")]
    assert [f for f in found if f.startswith("artifacts/") and f.endswith("student.safetensors")]
    tops = {name.partition("/")[0] for name in storage.walk(f"{store}{options}")}
    assert tops == {"runs", "data"}
    monkeypatch.setenv("AFDCD_STORAGE", root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", study.environment["MLFLOW_TRACKING_URI"])
    assert fetch("models:/tiny@candidate").stat().st_size > 0


def test_lists_and_removes_files_and_folders(tmp_path: Path) -> None:
    _lists_and_removes(str(tmp_path / "new"))


@pytest.mark.timeout(90)
def test_an_object_store_by_environment_alone(store: str, s3_server: int) -> None:
    uri = f"{store}/folder/a.bin"
    assert not storage.exists(uri)
    storage.write_bytes(uri, b"one")
    storage.write_bytes(uri, memoryview(b"two2"))
    assert (storage.read_bytes(uri), storage.size(uri)) == (b"two2", 4)
    assert storage.write_once(uri, b"three") == b"two2"
    keys = boto3.client("s3").list_objects_v2(Bucket=store.removeprefix("s3://"))["Contents"]
    assert [key["Key"] for key in keys] == ["folder/a.bin"]
    _lists_and_removes(f"{store}/new")


@pytest.mark.timeout(90)
def test_an_object_store_by_options_in_its_uri(
    store: str, s3_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    root = f"{store}/x?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{s3_server}"
    storage.write_bytes(storage.join(root, "a"), b"one")
    assert storage.names(root) == ["a"]


@pytest.mark.timeout(90)
def test_a_store_that_refuses_names_the_variables(store: str) -> None:
    with pytest.raises(UserError, match=r"cannot be written: .*AWS_ENDPOINT_URL") as error:
        storage.write_bytes("s3://bucket-that-is-not-there/a", b"one")
    assert "\n" not in str(error.value)


def test_a_place_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the name is no UTF-8, which storage needs"):
        storage.write_bytes(str(tmp_path / os.fsdecode(b"stra\xdfe")), b"one")


def _lists_and_removes(root: str) -> None:
    assert storage.names(root) == []
    storage.remove(storage.join(root, "a"))
    storage.remove_folder(root)
    for name in ("b", "a", "c/d"):
        storage.write_bytes(storage.join(root, name), b"x")
    assert storage.names(root) == ["a", "b"]
    storage.remove(storage.join(root, "a"))
    assert storage.names(root) == ["b"]
    storage.remove_folder(storage.join(root, "c"))
    assert not storage.exists(storage.join(root, "c", "d"))
    assert storage.exists(storage.join(root, "b"))
