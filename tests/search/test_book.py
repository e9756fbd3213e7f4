"""The rows of a study as its driver remembers them: always what the database says, and seldom asked for."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage

from afdcd.search.book import Book, waiting
from afdcd.search.patient_storage import PatientStorage
from afdcd.search.records import run_records
from afdcd.search.study import Study
from afdcd.training.job import Failure, result_of
from tests.search.studies import (
    LENGTH,
    METHODS,
    completed,
    lost,
    opened,
    paused,
    report,
    run_to_the_end,
    space_of,
)

SPACE = {
    "lr": {"log": [0.01, 1.0]},
    "distiller": METHODS,
    "training__batch": {"int": [4, 64]},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the database was asked, by what for."""
    counts: Counter[str] = Counter()
    for name in ("_get_trials", "get_trial", "get_study_user_attrs"):
        monkeypatch.setattr(RDBStorage, name, _counted(name, counts))
    return counts


def _counted(name: str, counts: Counter[str]) -> Any:
    call = getattr(RDBStorage, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        counts[name] += 1
        return call(*args, **kwargs)

    return counted


def agrees(study: Study) -> bool:
    """Whether what is remembered is what another process reads."""
    return study.everything() == Book(study.study).everything()


def test_what_is_remembered_is_what_the_database_says(tmp_path: Path) -> None:
    study = opened(tmp_path, space_of(**SPACE), trials=9)
    ends = [
        completed(0.5),
        paused(10, 0.25),
        lost(),
        result_of(LENGTH, None, Failure(failed="nan", fault="setting")),
    ]
    for end in ends:
        job = study.next()
        assert job and agrees(study)
        study.report(job, report(10, 0.25))
        assert agrees(study)
        study.end(job, end)
        assert agrees(study)
    again = study.next()
    assert again and agrees(study)
    study.reopen(1)
    study.repeat(0, 7)
    assert agrees(study)
    outcomes = [e.outcome for e in study.everything()]
    assert outcomes[:4] == ["completed", "paused", "infeasible", None]


def test_what_others_add_shows_at_the_next_proposal(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.5)
    Book(study.study).add(waiting({"training.lr": 0.125}, {}))
    job = study.next()
    assert job and job.config.training.lr == 0.125


def test_after_a_write_that_failed_all_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been done nevertheless."""
    study = opened(tmp_path)
    job, write = study.next(), RDBStorage.set_trial_intermediate_value
    assert job

    def unheard(*args: Any) -> None:
        write(*args)
        raise RuntimeError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(PatientStorage, "set_trial_intermediate_value", unheard)
        with pytest.raises(RuntimeError):
            study.report(job, report(10, 0.25))
    assert study.everything()[0].curve == {10: 0.25}


def test_a_validation_is_decided_without_a_question_to_the_database(
    tmp_path: Path, asked: Counter[str]
) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.5)
    job = study.next()
    assert job
    asked.clear()
    study.report(job, report(10, 0.25))
    study.report(job, report(20, 0.25))
    assert not asked


def of_three(folder: Path) -> Study:
    """A study of which three runs have ended."""
    study = opened(folder)
    for _ in range(3):
        run_to_the_end(study, 0.5)
    return study


def test_how_often_rows_are_read_does_not_grow_with_what_is_asked_of_them(
    tmp_path: Path, asked: Counter[str]
) -> None:
    study = of_three(tmp_path)
    asked.clear()
    study.best(), study.counted(), study.finished(), study.outside(), study.entries()
    assert not asked
    study.wanted()
    assert asked == {"_get_trials": 1, "get_study_user_attrs": 1}
    asked.clear()
    assert study.next()
    assert asked["_get_trials"] == 2  # ours, and Optuna's for a row that waits
    assert asked["get_study_user_attrs"] == 1
    assert asked["get_trial"] == 3  # Optuna's, as a row begins and is given its setting; ours once


def test_the_records_of_all_runs_are_made_without_a_question_to_the_database(
    tmp_path: Path, asked: Counter[str]
) -> None:
    study = of_three(tmp_path)
    asked.clear()
    assert len(run_records(study.id, study.entries(), "folder")) == 3
    assert set(asked) <= {"get_study_user_attrs"} and asked.total() <= 1  # the study's id, once
