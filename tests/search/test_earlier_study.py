"""A study that an earlier edition began, whose database has the names that keys and methods had then."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from afdcd.search.book import waiting, waiting_reference
from afdcd.search.proof import Prover
from tests.search.studies import completed, opened, run_to_the_end, space_of

METHOD = {"method": "mgd", "fd_weight": {"log": [1e-6, 1e-4]}}
SPACE = space_of(
    lr=0.1,
    distiller={"choice": [{"method": "none"}, METHOD]},
    training__optimizer={"type": "sgd", "momentum": {"uniform": [0.5, 0.95]}},
)
NAMES = {
    "distiller.mgd": "distiller.fd",
    '"mgd"': '"fd"',
    "training.optimizer.momentum": "training.momentum",
}
COLUMNS = {
    "trial_params": ("param_name", "distribution_json"),
    "trial_user_attributes": ("value_json",),
    "study_user_attributes": ("value_json",),
}
PLAIN = {"distiller": "none", "training.optimizer.momentum": 0.7}
MASKED = {
    "distiller": "mgd",
    "distiller.mgd.fd_weight": 1e-5,
    "training.optimizer.momentum": 0.8,
}


def _as_before(file: Path) -> None:
    """Write the names of then over those of today."""
    database = sqlite3.connect(file)
    for table, columns in COLUMNS.items():
        for column in columns:
            for now, was in NAMES.items():
                database.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (now, was)
                )
    database.commit()
    (names,) = zip(*database.execute("SELECT DISTINCT param_name FROM trial_params"), strict=True)
    assert {"distiller.fd.fd_weight", "training.momentum"} <= set(names)
    database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a study of two trials, the masked one the better."""
    study = opened(tmp_path, SPACE, (PLAIN, MASKED), trials=2, rungs=())
    for value in (0.3, 0.6):
        run_to_the_end(study, value)
    return tmp_path


def _opened(folder: Path, **rules: Any) -> Any:
    _as_before(folder / "study.db")
    return opened(folder, SPACE, (PLAIN, MASKED), **{"trials": 2, "rungs": (), **rules})


def test_its_runs_count_and_are_not_run_again(folder: Path) -> None:
    study = _opened(folder)
    assert study.next() is None
    assert [entry.searched for entry in study.entries()] == [PLAIN, MASKED]
    assert study.best()[0].value == 0.6
    assert study.outside() == 0


def test_its_best_setting_is_proven(folder: Path) -> None:
    study = _opened(folder)
    prover = Prover(study, 2)
    assert prover.ask()
    ran = []
    while job := study.next():
        ran.append((job.config.distiller.method, job.config.training.seed))
        study.end(job, completed(0.5))
    assert [method for method, _ in ran].count("mgd") == 2
    assert prover.ask() is None
    proof = prover.proof()
    assert proof is not None
    assert not proof.unmet


def test_what_it_had_queued_is_run(folder: Path) -> None:
    study = opened(folder, SPACE, (PLAIN, MASKED), trials=4, rungs=())
    other = {**MASKED, "distiller.mgd.fd_weight": 3e-5}
    study.ask_for(waiting_reference(other))
    study.ask_for(waiting({**other, "training.optimizer.momentum": 0.6}, {}))
    study.repeat(1, 5)
    again = _opened(folder, trials=4)
    jobs = [run_to_the_end(again, 0.4) for _ in range(3)]
    assert [job.config.distiller.fd_weight for job in jobs] == pytest.approx([3e-5, 3e-5, 1e-5])
    assert [job.config.training.optimizer.momentum for job in jobs] == pytest.approx(
        [0.8, 0.6, 0.8]
    )
    assert jobs[2].config.training.seed == 5
