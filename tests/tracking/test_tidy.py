"""Runs of no study that were left RUNNING by a killed process."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from afdcd.search import session
from afdcd.tracking.pages import Place
from afdcd.tracking.runs import project_run
from afdcd.tracking.tidy import ABANDONED, tidy
from afdcd.training import pulse
from tests.pulses import pulse_of
from tests.tracking.made import record


@pytest.mark.parametrize(
    ("ago", "status"), [(ABANDONED + 60, "KILLED"), (60.0, "RUNNING"), (None, "RUNNING")]
)
def test_only_what_was_long_silent_is_closed(
    place: Place, tmp_path: Path, ago: float | None, status: str
) -> None:
    """One of another storage may be at work elsewhere."""
    run = project_run(place, replace(record(tmp_path), study=None)).run
    closed = tidy(place, lambda job, title: None if ago is None else time.time() - ago)
    assert place.client.get_run(run).info.status == status
    assert bool(closed) == (status == "KILLED")


def test_a_run_of_a_study_is_the_studys_to_close(place: Place, tmp_path: Path) -> None:
    run = project_run(place, record(tmp_path)).run
    assert tidy(place, lambda job, title: 0.0) == []
    assert place.client.get_run(run).info.status == "RUNNING"


@pytest.mark.parametrize("folder", ["teachers/teacher-ab", "runs/one/run-ab"])
def test_the_last_sign_of_life_is_the_pulse_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    seen = pulse_of(at=7.0)
    pulse.write(str(tmp_path / folder), seen)
    assert session._last_sign(folder.rpartition("/")[2], "one") == 7.0
    assert session._last_sign("teacher-other", "one") is None
