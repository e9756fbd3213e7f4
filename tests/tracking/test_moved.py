"""Registered weights are found again after the storage folder has moved."""

import shutil
from pathlib import Path

import mlflow
import pytest

from afdcd import storage
from afdcd.config import UserError
from afdcd.environment import storage_root
from afdcd.tracking.registry import fetch, register, weights_of
from afdcd.tracking.tracker import Tracker
from tests.stores import s3_server, store
from tests.tracking.made import STUDY, record
from tests.tracking.test_registry import version

__all__ = ["s3_server", "store"]  # fixtures
WEIGHTS = b"weights"  # fetch does not look inside


@pytest.fixture(params=["runs", "a?b#c%41 d"])
def first(
    request: pytest.FixtureRequest, mlflow_storage: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A storage folder in which one student is registered; its name may be odd."""
    root = mlflow_storage / request.param
    root.mkdir()
    (mlflow_storage / "mlflow.db").rename(root / "mlflow.db")
    monkeypatch.setenv("AFDCD_STORAGE", str(root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker = Tracker()
    try:
        register(tracker.client, version(tracker), WEIGHTS)
    finally:
        tracker.close()
    assert [path.name for path in mlflow_storage.glob("*/*.db")] == ["mlflow.db"]
    return root


def use(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize("model", ["models:/street@champion", "models:/street/1"])
def test_a_model_is_found_where_the_folder_is_now(
    model: str, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch(model).read_bytes() == WEIGHTS
    moved = tmp_path / "elsewhere" / "new name"
    moved.parent.mkdir()
    first.rename(moved)
    use(moved, monkeypatch)
    assert fetch(model).read_bytes() == WEIGHTS
    assert moved in fetch(model).parents


def test_what_is_nowhere_says_where_it_was(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "new"
    first.rename(moved)
    shutil.rmtree(moved / "artifacts")
    use(moved, monkeypatch)
    with pytest.raises(
        UserError, match=r"models:/street@champion: its files were at .*/model/"
    ) as e:
        fetch("models:/street@champion")
    assert "not in the registry" not in str(e.value)
    assert f"AFDCD_STORAGE={moved}" in str(e.value)
    with pytest.raises(UserError, match="not in the registry"):
        fetch("models:/street/7")


def test_an_empty_store_is_told_from_a_model_of_somebody_else(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store has no folders: where files are gone it lists nothing, and MLflow downloads just that."""
    for file in (first / "artifacts").rglob("*.safetensors"):
        file.unlink()
    with pytest.raises(UserError, match="its files were at") as e:
        fetch("models:/street@champion")
    assert "not registered by afdcd" not in str(e.value)
    assert "or delete this version" in str(e.value)


def test_an_empty_store_is_no_loss_where_the_file_lies_below_storage(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty := tmp_path / "empty").mkdir()
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda model: str(empty))
    assert fetch("models:/street@champion").read_bytes() == WEIGHTS


def test_a_silent_store_is_not_said_to_be_empty(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files may well be there: what MLflow met is told, too."""

    def silent(*arguments: object, **named: object) -> None:
        raise OSError("http://store:8333: no route to host")

    shutil.rmtree(first / "artifacts")
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", silent)
    with pytest.raises(UserError, match="http://store:8333: no route to host"):
        fetch("models:/street@champion")


def test_another_file_at_that_place_is_not_taken(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "new"
    first.rename(moved)
    (file,) = moved.rglob("*.safetensors")
    file.write_bytes(b"others")
    use(moved, monkeypatch)
    with pytest.raises(UserError, match="its files were at"):
        fetch("models:/street@champion")


@pytest.mark.timeout(90)
def test_from_a_disk_into_a_bucket(
    tracker: Tracker, store: str, s3_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tracker.client, version(tracker), WEIGHTS)
    old = Path(storage_root())
    (file,) = old.rglob("*.safetensors")
    options = f"?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{s3_server}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{old}/mlflow.db")
    monkeypatch.setenv("AFDCD_STORAGE", f"{store}/new{options}")
    place = storage.join(storage_root(), *file.relative_to(old).parts)
    storage.write_bytes(place, WEIGHTS)
    shutil.rmtree(old / "artifacts")
    assert fetch("models:/street@champion").read_bytes() == WEIGHTS


@pytest.mark.timeout(90)
def test_into_a_bucket_that_only_the_options_of_its_uri_describe(
    mlflow_storage: Path, store: str, s3_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C7: MLflow was given `s3://bucket/runs?region=.../artifacts`, and no endpoint."""
    for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "")  # so that it is put back as it was
    monkeypatch.delenv("MLFLOW_S3_ENDPOINT_URL")
    options = f"?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{s3_server}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{mlflow_storage}/mlflow.db")
    monkeypatch.setenv("AFDCD_STORAGE", f"{store}/runs{options}")
    tracker = Tracker()
    try:
        register(tracker.client, version(tracker), WEIGHTS)
    finally:
        tracker.close()
    (name,) = storage.walk(f"{store}/{options}")
    assert name.startswith("runs/artifacts/")
    assert fetch("models:/street@champion").read_bytes() == WEIGHTS


def test_weights_of_a_run_are_those_that_were_registered(tracker: Tracker) -> None:
    register(tracker.client, version(tracker), WEIGHTS)
    run = tracker.run_of("trial-0000", STUDY)
    assert list(weights_of(tracker.client, run)) == [WEIGHTS]
    (file,) = Path(storage_root()).rglob("*.safetensors")
    file.write_bytes(b"damaged")
    assert list(weights_of(tracker.client, run)) == []
    tracker.update(record("nowhere", "trial-0007"))
    assert list(weights_of(tracker.client, tracker.run_of("trial-0007", STUDY))) == []
