"""Optuna's storage on a database whose answers get lost: nothing is done twice, nothing is left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from afdcd.config import UserError
from afdcd.search import open_study, patience
from tests.search.studies import opened


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    monkeypatch.setattr(patience, "_sleep", lambda seconds: None)
    opened(tmp_path)
    return open_study.connect(f"sqlite:///{tmp_path}/study.db", "s")


def disturb(monkeypatch: pytest.MonkeyPatch, name: str, *, heard: bool, times: int = 1) -> None:
    """The next calls fail, before they take effect or after."""
    real: Callable[..., Any] = getattr(RDBStorage, name)
    left = [times]

    def call(self: RDBStorage, *given: Any, **named: Any) -> Any:
        if not left[0]:
            return real(self, *given, **named)
        left[0] -= 1
        if not heard:
            real(self, *given, **named)
        raise StorageInternalError("server closed the connection")

    monkeypatch.setattr(RDBStorage, name, call)


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize(
    "name", ["_create_new_trial", "set_trial_state_values", "set_trial_user_attr", "_get_trials"]
)
def test_a_lost_answer_doubles_no_row_and_leaves_none_open(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch, name: str, heard: bool
) -> None:
    disturb(monkeypatch, name, heard=heard)
    trial = study.ask()
    trial.set_user_attr("a", 1)
    study.tell(trial, 0.5)
    (row,) = study.get_trials()
    assert (row.state, row.value, row.user_attrs) == (TrialState.COMPLETE, 0.5, {"a": 1})


def test_a_row_that_waits_is_taken_once_though_the_answer_was_lost(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (0.1, 0.2):
        study.enqueue_trial({"x": value})
    disturb(monkeypatch, "set_trial_state_values", heard=False)
    taken = [study.ask().number for _ in range(2)]
    assert taken == [0, 1]


def test_a_database_that_stays_away_is_one_line(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    disturb(monkeypatch, "_get_trials", heard=True, times=100)
    with pytest.raises(UserError, match="has not answered for 60 s"):
        study.get_trials()
