"""Searches side by side in one study: each sees its own runs, pays its own failures, pauses its own."""

from pathlib import Path
from typing import Any

import optuna
import pytest

from afdcd.config import Source
from afdcd.search.division import division_of
from afdcd.search.policy import own_tpe
from afdcd.search.study import Study
from afdcd.training.job import Failure, Job, result_of
from tests.search.studies import (
    LENGTH,
    completed,
    lost,
    opened,
    pause,
    report,
    run_to_the_end,
    space_of,
)
from tests.search.test_division import KD, MGD, PUBLISHED, divided

SAMPLERS = ["gp", "tpe", "random"]
DIVERGED = result_of(LENGTH, None, Failure(failed="nan", fault="setting"))


def method_of(job: Job) -> str:
    return job.config.distiller.method


def search(study: Study, values: dict[str, float]) -> list[Job]:
    """Every run scores what its method does, or diverges where nothing is said of it."""
    jobs = []
    while job := study.next():
        jobs.append(job)
        value = values.get(method_of(job))
        study.end(job, DIVERGED if value is None else completed(value))
    return jobs


def settings_of_method(jobs: list[Job], method: str) -> list[dict[str, Any]]:
    return [job.config.distiller.plain() for job in jobs if method_of(job) == method]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_method_is_searched_with_its_share_whatever_the_others_score(
    tmp_path: Path, sampler: str
) -> None:
    study = divided(tmp_path, trials=15, sampler=sampler)
    jobs = search(study, {"none": 0.9, "kd": 0.1, "mgd": 0.8})
    assert [len(settings_of_method(jobs, name)) for name in ("none", "kd", "mgd")] == [1, 7, 7]
    weights = {one["weight"] for one in settings_of_method(jobs, "kd")}
    assert len(weights) == 7  # no copies


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_method_of_few_settings_has_each_of_them_once(tmp_path: Path, sampler: str) -> None:
    few = {"method": "kd", "weight": {"choice": [1.0, 2.0, 4.0]}}
    space = space_of(lr=0.1, distiller={"choice": [{"method": "none"}, few, MGD]})
    division = division_of(space, "distiller.method", Source())
    study = opened(tmp_path, space, trials=12, rungs=(), division=division, sampler=sampler)
    jobs = search(study, {"none": 0.4, "kd": 0.5, "mgd": 0.6})
    assert sorted(one["weight"] for one in settings_of_method(jobs, "kd")) == [1.0, 2.0, 4.0]
    assert len(settings_of_method(jobs, "mgd")) == 8
    assert len(study.everything()) == 12  # and no copy was begun


def test_tpe_goes_through_the_rest_of_few_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if what it draws is taken."""
    monkeypatch.setattr(own_tpe, "DRAWS", 0)
    few = {"method": "kd", "weight": {"choice": [1.0, 2.0, 4.0]}}
    space = space_of(lr=0.1, distiller={"choice": [{"method": "none"}, few]})
    division = division_of(space, "distiller.method", Source())
    study = opened(tmp_path, space, trials=9, rungs=(), division=division, sampler="tpe")
    assert len(search(study, {"none": 0.4, "kd": 0.5})) == 4


def test_what_a_reference_leaves_open_is_not_learnt_from_other_methods(tmp_path: Path) -> None:
    study = divided(tmp_path, sampler="tpe")
    assert isinstance(study.study.sampler, optuna.samplers.RandomSampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_a_method_proposes_does_not_depend_on_the_scores_of_another(
    tmp_path: Path, sampler: str
) -> None:
    found = []
    for name, mgd in (("one", 0.2), ("two", 0.9)):
        (tmp_path / name).mkdir()
        study = divided(tmp_path / name, trials=15, sampler=sampler)
        jobs = search(study, {"none": 0.4, "kd": 0.5, "mgd": mgd})
        found.append(settings_of_method(jobs, "kd"))
    assert found[0] == found[1]


def test_a_shared_range_is_learnt_for_each_method_by_itself(tmp_path: Path) -> None:
    """A model needs four runs: eight are enough for one search, and four of each are not for two."""
    space = space_of(lr={"log": [0.01, 1.0]}, distiller={"choice": [KD, MGD]})
    given = {"trials": 8, "rungs": (), "division": division_of(space, "distiller.method", Source())}
    study = opened(tmp_path, space, **given)
    search(study, {"kd": 0.5, "mgd": 0.3})
    notes = [row.user_attrs["policy"]["why"] for row in study.study.get_trials()]
    assert notes == ["random"] * 8


def test_a_method_that_fails_spends_its_own_share_only(tmp_path: Path) -> None:
    study = divided(tmp_path, trials=21)
    jobs = search(study, {"none": 0.4, "kd": 0.5})
    assert [len(settings_of_method(jobs, name)) for name in ("none", "kd", "mgd")] == [1, 10, 10]


def test_a_lost_run_is_repeated_and_costs_no_share(tmp_path: Path) -> None:
    study = divided(tmp_path, trials=5)
    for _ in range(3):
        run_to_the_end(study, 0.5)
    for _ in range(3):  # of kd, until it is given up; a quarter of its length was reached
        job = study.next()
        assert job is not None and method_of(job) == "kd"
        study.report(job, report(10, 0.5))
        study.end(job, lost())
    assert [e.outcome for e in study.entries()][-1] == "lost"
    assert sorted(map(method_of, search(study, {"kd": 0.5, "mgd": 0.5}))) == ["kd", "mgd"]


def test_runs_that_go_on_count_so_that_workers_take_turns(tmp_path: Path) -> None:
    study = divided(tmp_path)
    at_once = [study.next() for _ in range(7)]
    assert [method_of(job) for job in at_once if job] == ["none", *["kd", "mgd"] * 3]


ASKED = {"distiller": "kd", "distiller.kd.weight": 5.0}


def test_a_setting_that_somebody_asked_for_is_paid_by_its_own_method(tmp_path: Path) -> None:
    study = divided(tmp_path, references=(*PUBLISHED, ASKED))
    jobs = search(study, {"none": 0.4, "kd": 0.5, "mgd": 0.5})
    assert [method_of(job) for job in jobs[:4]] == ["none", "kd", "mgd", "kd"]
    assert [len(settings_of_method(jobs, name)) for name in ("none", "kd", "mgd")] == [1, 4, 4]


def test_one_that_is_asked_for_late_takes_nothing_from_the_others(tmp_path: Path) -> None:
    """The share of kd is spent; what was asked of it runs beyond that, and mgd has what it has."""
    study = divided(tmp_path, trials=5)
    for _ in range(4):
        run_to_the_end(study, 0.5)
    study = divided(tmp_path, trials=5, references=(*PUBLISHED, ASKED))
    assert [method_of(job) for job in search(study, {"kd": 0.5, "mgd": 0.5})] == ["kd", "mgd"]


def test_a_run_is_paused_by_runs_of_its_own_method_only(tmp_path: Path) -> None:
    """All of mgd are worse than all of kd, and the better half of each goes on."""
    study = divided(tmp_path, trials=9, rungs=(10,))
    for value in (0.4, 0.9, 0.1):
        run_to_the_end(study, value)
    first, second = study.next(), study.next()
    assert first and second and (method_of(first), method_of(second)) == ("kd", "mgd")
    assert study.report(first, report(10, 0.8))  # worse than kd as published
    assert not study.report(second, report(10, 0.2))  # better than mgd as published


def test_a_paused_run_costs_its_method_what_it_reached(tmp_path: Path) -> None:
    study = divided(tmp_path, trials=5, rungs=(10,))
    for value in (0.4, 0.9, 0.9):
        run_to_the_end(study, value)
    assert [method_of(pause(study, 0.1)) for _ in range(2)] == ["kd", "mgd"]
    assert study.next() is None  # three quarters of a run are left to each


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_new_driver_proposes_what_the_old_one_would_have(tmp_path: Path, sampler: str) -> None:
    values = {"none": 0.4, "kd": 0.5, "mgd": 0.6}
    found = []
    for name, stops in (("straight", ()), ("stopped", (4, 7))):
        (tmp_path / name).mkdir()
        study, jobs = divided(tmp_path / name, trials=11, sampler=sampler), []
        while job := study.next():
            jobs.append(job)
            study.end(job, completed(values[method_of(job)]))
            if len(jobs) in stops:
                study = divided(tmp_path / name, trials=11, sampler=sampler)
        found.append([job.config.distiller for job in jobs])
    assert found[0] == found[1]


def test_the_best_of_each_method_is_its_own_samplers_to_say(tmp_path: Path) -> None:
    study = divided(tmp_path, trials=9)
    search(study, {"none": 0.4, "kd": 0.5, "mgd": 0.6})
    assert {e.searched["distiller"] for e in study.best_of("kd")} == {"kd"}
    assert len(study.best_of("kd")) == 4 and len(study.best_of("none")) == 1
    assert study.best(1)[0].searched["distiller"] == "mgd"
