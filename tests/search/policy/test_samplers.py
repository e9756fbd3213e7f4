"""What is proposed, through the study: near what is published, no copies, the same for any driver."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afdcd.config import UserError
from afdcd.search.rungs import rungs
from afdcd.search.study import Study
from afdcd.training.job import Failure, Job, result_of
from tests.search.studies import (
    LENGTH,
    completed,
    lost,
    opened,
    paused,
    report,
    run_to_the_end,
    space_of,
)

RATE = {"log": [0.01, 1.0]}
KD = {"method": "kd", "weight": {"log": [0.1, 10.0]}, "temperature": {"uniform": [1.0, 4.0]}}
SPACE = space_of(lr=RATE, distiller={"choice": [{"method": "none"}, KD]})
PLAIN = {"training.lr": 0.1, "distiller": "none"}
PUBLISHED = {
    **PLAIN,
    "distiller": "kd",
    "distiller.kd.weight": 1.0,
    "distiller.kd.temperature": 2.0,
}
BOTH = (PLAIN, PUBLISHED)
FEW = space_of(lr={"choice": [0.1, 0.2, 0.3]}, distiller={"choice": [{"method": "none"}, KD]})
FINITE = space_of(lr={"choice": [0.1, 0.2, 0.3]})
SETTING = result_of(LENGTH, None, Failure(failed="nan", fault="setting"))


def worth(job: Job) -> float:
    """The true score: best at a learning rate of 0.3 and a weight of 3."""
    config = job.config
    weight = getattr(config.distiller, "weight", 0.0)
    away = abs(config.training.lr - 0.3) + 0.1 * abs(weight - 3)
    return 0.7 - 0.05 * away + 0.01 * (config.distiller.method == "kd")


def search(study: Study) -> list[Job]:
    jobs = []
    while job := study.next():
        jobs.append(job)
        study.end(job, completed(worth(job)))
    return jobs


def policies(study: Study) -> list[dict[str, Any]]:
    return [row.user_attrs["policy"] for row in study.study.get_trials()]


def test_a_proposal_says_why_it_is_run(tmp_path: Path) -> None:
    study = opened(tmp_path, SPACE, BOTH)
    search(study)
    said = policies(study)
    assert [one["why"] for one in said] == ["reference"] * 2 + ["near published"] * 2 + [
        "model"
    ] * 2
    assert 0.5 < said[4]["expected"] < 0.9
    assert 0 < said[4]["deviation"] < 0.1


def test_the_model_finds_what_is_better_than_the_published_settings(tmp_path: Path) -> None:
    study = opened(tmp_path, SPACE, BOTH, trials=20)
    jobs = search(study)
    published, late = worth(jobs[1]), [worth(job) for job in jobs[-5:]]
    assert max(late) > published + 0.01
    assert study.best()[0].value > published + 0.01


@pytest.mark.parametrize("sampler", ["gp", "random", "grid"])
def test_no_setting_is_proposed_twice_and_an_exhausted_space_ends_the_study(
    tmp_path: Path, sampler: str
) -> None:
    study = opened(tmp_path, FINITE, trials=40, sampler=sampler)
    jobs = search(study)
    assert len({job.identity for job in jobs}) == len(jobs) == 6
    assert all("twin" not in row.user_attrs for row in study.study.get_trials())


def test_a_setting_that_runs_is_not_proposed_again(tmp_path: Path) -> None:
    study = opened(tmp_path, FINITE, trials=40)
    jobs = [job for _ in range(9) if (job := study.next())]
    assert len({job.identity for job in jobs}) == len(jobs) == 6


def test_a_method_without_parameters_runs_once(tmp_path: Path) -> None:
    space = space_of(lr=0.1, distiller={"choice": [{"method": "none"}, KD]})
    jobs = search(opened(tmp_path, space, trials=12))
    assert [job.config.distiller.method for job in jobs].count("none") <= 1


@pytest.mark.parametrize("name", ["single", "finite", "few", "free"])
def test_any_space_can_be_searched(tmp_path: Path, name: str) -> None:
    spaces = {
        "single": space_of(lr=0.1, distiller={"method": "kd"}),
        "finite": FINITE,
        "few": FEW,
        "free": space_of(
            lr=RATE, distiller={"method": "kd"}, training__batch={"int": [2, 8], "step": 2}
        ),
    }
    jobs = search(opened(tmp_path, spaces[name], trials=8))
    assert len(jobs) == (1 if name == "single" else 6 if name == "finite" else 8)


def test_what_a_reference_leaves_open_is_filled_alike_by_any_driver(tmp_path: Path) -> None:
    jobs = []
    for name in "ab":
        (tmp_path / name).mkdir()
        asked = {"distiller": "kd", "training.lr": 0.1}
        jobs.append(opened(tmp_path / name, SPACE, (asked,)).next())
        assert jobs[-1] is not None
        assert (jobs[-1].config.distiller.method, jobs[-1].config.training.lr) == ("kd", 0.1)
    assert jobs[0].identity == jobs[1].identity


# Replay: the driver dies after any event, and the next one goes on with the same proposals.


def scripted(reopened: Callable[[Study], Study], study: Study) -> list[str]:
    """A study of two workers in which runs complete, fail, are lost and are paused."""
    live: list[Job] = []
    proposed: dict[str, None] = {}
    for turn in range(60):
        while len(live) < 2 and (new := study.next()):
            proposed[new.identity] = None
            live.append(new)
            study = _taken_up(reopened(study), live)
        if not live:
            break
        job = live.pop(0)
        if turn == 5:
            study.end(job, SETTING)
        elif turn == 7:
            study.end(job, lost())
        elif study.report(job, report(10, worth(job) - 0.1)):
            study.end(job, paused(10, worth(job) - 0.1))
        else:
            study = _taken_up(reopened(study), [*live, job])
            study.end(job, completed(worth(job)))
        study = _taken_up(reopened(study), live)
    return list(proposed)


def _taken_up(study: Study, live: list[Job]) -> Study:
    """Runs that were going on when the driver died go on, and one that was lost before that."""
    while any(job.name not in study._live for job in live):
        job = study.next()
        assert job is not None
        if job.name not in {other.name for other in live}:
            live.append(job)
    return study


@pytest.mark.timeout(240)  # it opens the study again after each of some fifty events
def test_a_driver_killed_after_any_event_goes_on_with_the_same_proposals(tmp_path: Path) -> None:
    def undisturbed(study: Study) -> Study:
        return study

    def killed(study: Study) -> Study:
        return opened(tmp_path / "b", SPACE, BOTH, **RULES)

    for name in "ab":
        (tmp_path / name).mkdir()
    whole = scripted(undisturbed, opened(tmp_path / "a", SPACE, BOTH, **RULES))
    assert len(whole) > 8
    assert scripted(killed, opened(tmp_path / "b", SPACE, BOTH, **RULES)) == whole


RULES: dict[str, Any] = {"trials": 9, "rungs": tuple(rungs(LENGTH, 10, 10, 3)), "reduction": 3}


def test_a_driver_that_dies_before_its_row_is_filled_leaves_it_to_the_next(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    a, b = (opened(tmp_path / name, SPACE, BOTH, trials=9) for name in "ab")
    for study in (a, b):
        for _ in range(6):
            run_to_the_end(study, 0.5)
    b.study.ask()  # and the driver dies
    b = opened(tmp_path / "b", SPACE, BOTH, trials=9)
    first, again = a.next(), b.next()
    assert first is not None
    assert again is not None
    assert (first.name, first.identity) == (again.name, again.identity)


def test_a_space_in_which_nothing_can_be_trained_is_told_in_one_line(tmp_path: Path) -> None:
    study = opened(tmp_path, SPACE, trials=40)
    with pytest.raises(
        UserError, match=r"none of its 10 runs could be trained.*nan.*space"
    ) as told:
        for _ in range(20):
            study.end(study.next(), SETTING)
    assert "\n" not in str(told.value)
    assert len(study.entries()) == 10


def test_failures_that_cost_nothing_end_all_the_same(tmp_path: Path) -> None:
    study = opened(tmp_path, SPACE, BOTH, trials=6)
    run_to_the_end(study, 0.5)
    count = 0
    while job := study.next():
        study.end(job, SETTING)
        count += 1
    assert count == 12
