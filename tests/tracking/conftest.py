"""Runs in an MLflow database of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from afdcd.tracking.pages import Place
from afdcd.tracking.tracker import Tracker


@pytest.fixture
def tracker(mlflow_storage: Path) -> Iterator[Tracker]:
    tracker = Tracker()
    yield tracker
    tracker.close()


@pytest.fixture
def place(tracker: Tracker) -> Place:
    return Place(tracker.client, tracker.experiment, "abc")
