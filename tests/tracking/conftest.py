"""An MLflow database in a temporary folder; making one takes seconds, so it is copied."""

import shutil
from pathlib import Path

import pytest

from afdcd.tracking.runs import Tracker
from afdcd.tracking.server import connect


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFDCD_STORAGE", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "warmup")
        connect()
        patch.delenv("MLFLOW_TRACKING_URI")  # MLflow sets it
    return folder / "mlflow.db"


@pytest.fixture
def mlflow_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _empty_database: Path) -> Path:
    shutil.copy(_empty_database, tmp_path / "mlflow.db")
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    return tmp_path


@pytest.fixture
def tracker(mlflow_storage: Path) -> Tracker:
    return Tracker()
