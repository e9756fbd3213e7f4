"""Runs in an MLflow database of the test's own."""

from pathlib import Path

import pytest

from afdcd.tracking.runs import Tracker


@pytest.fixture
def tracker(mlflow_storage: Path) -> Tracker:
    return Tracker()
