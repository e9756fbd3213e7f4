"""The proof of a divided study: of every rival what was found and what is published, with the same seeds."""

from pathlib import Path
from typing import Any

from afdcd.config import Source
from afdcd.search.claims import announced, spreads
from afdcd.search.division import division_of
from afdcd.search.proof import Plan, Prover
from afdcd.search.study import Study
from afdcd.training.job import Job
from tests.search.policy.test_divided import DIVERGED, method_of
from tests.search.studies import LENGTH, completed, opened, report, space_of
from tests.search.test_division import KD, MGD, PUBLISHED, divided


def score_of(job: Job) -> float:
    """Each method has its level, better away from what is published; each seed its luck."""
    distiller, seed = job.config.distiller.plain(), job.config.training.seed
    level = {"none": 0.40, "kd": 0.45, "mgd": 0.42}[method_of(job)]
    gain = 0.02 * (distiller.get("weight", 1.0) > 1) + 0.02 * (distiller.get("fd_weight", 1) < 2e-5)
    return level + gain + 0.01 * (seed % 3) + 0.001 * (seed * len(method_of(job)) % 4)


def run_all(study: Study, failing: str = "") -> list[Job]:
    jobs = []
    while job := study.next():
        jobs.append(job)
        if method_of(job) == failing:
            study.end(job, DIVERGED)
        else:
            study.report(job, report(LENGTH, score_of(job)))
            study.end(job, completed(score_of(job)))
    return jobs


def arena(folder: Path, trials: int = 15, failing: str = "", **rules: Any) -> Study:
    """A divided study of which the search is over."""
    study = divided(folder, trials=trials, sampler="random", **rules)
    run_all(study, failing)
    return study


def planned(study: Study) -> Plan:
    plan = Prover(study, 3).ask()
    assert plan is not None
    return plan


def test_found_published_and_plain_run_with_the_same_fresh_seeds(tmp_path: Path) -> None:
    study = arena(tmp_path)
    plan = planned(study)
    assert list(plan.arms) == ["champion", "plain", "published kd", "found mgd", "published mgd"]
    assert plan.seeds == (1, 2, 3)
    assert plan.arms["published kd"].distiller.plain()["weight"] == 1.0
    found = plan.arms["found mgd"]
    best = study.config_of(study.best_of("mgd")[0])
    assert found == best and found != plan.arms["published mgd"]
    jobs = run_all(study)
    assert len(jobs) == 15
    assert len({(job.identity, job.config.training.seed) for job in jobs}) == 15
    for config in plan.arms.values():
        assert plan.arms["plain"].updated(distiller=config.distiller) == config


def test_its_runs_cost_no_trial_and_select_nothing(tmp_path: Path) -> None:
    study = arena(tmp_path)
    before = [study.best(99), study.best_of("kd"), study.best_of("mgd")]
    planned(study)
    run_all(study)
    assert [study.best(99), study.best_of("kd"), study.best_of("mgd")] == before
    assert study.counted() == 15 and Prover(study, 3).ask() is None


def test_a_published_setting_that_is_the_best_found_runs_once(tmp_path: Path) -> None:
    study = arena(tmp_path, trials=3)
    assert list(planned(study).arms) == ["champion", "plain", "found mgd"]
    assert len(run_all(study)) == 9


def test_a_rival_that_cannot_be_trained_has_no_arm(tmp_path: Path) -> None:
    study = arena(tmp_path, failing="mgd")
    assert list(planned(study).arms) == ["champion", "plain", "published kd"]


def test_a_plain_student_that_is_the_best_is_what_the_rivals_are_held_against(
    tmp_path: Path,
) -> None:
    study = divided(tmp_path, trials=3, sampler="random")
    for value in (0.9, 0.5, 0.4):
        job = study.next()
        assert job is not None
        study.end(job, completed(value))
    plan = planned(study)
    assert list(plan.arms) == ["champion", "found kd", "found mgd"]
    assert plan.arms["champion"].distiller.method == "none"


def test_a_better_setting_of_a_rival_takes_its_arm_and_the_seeds_stay(tmp_path: Path) -> None:
    study = arena(tmp_path, trials=3)
    first = planned(study)
    run_all(study)
    study = arena(tmp_path, trials=15)
    champion = study.best()[0]
    assert champion.first != first.trial  # kd's best was overtaken: all is proven anew
    plan = planned(study)
    assert plan.seeds == (4, 5, 6)
    run_all(study)
    study = divided(tmp_path, trials=17, sampler="random")
    for value in (0.1, 0.99):  # of kd a bad one; of mgd one that is the best of all by far
        job = study.next()
        assert job is not None
        study.end(job, completed(value if method_of(job) == "kd" else 0.465))
    later = planned(study)
    assert later.trial == plan.trial and later.seeds == plan.seeds
    assert later.arms["found mgd"] != plan.arms["found mgd"]
    assert {method_of(job) for job in run_all(study)} == {"mgd"}


def test_each_recipe_has_a_plain_student_of_its_own(tmp_path: Path) -> None:
    """A rate is searched, and each rival found another one."""
    space = space_of(lr={"choice": [0.1, 0.2]}, distiller={"choice": [{"method": "none"}, KD, MGD]})
    division = division_of(space, "distiller.method", Source())
    references = tuple({**r, "training.lr": 0.1} for r in PUBLISHED[1:2]) + tuple(
        {**r, "training.lr": 0.2} for r in PUBLISHED[2:]
    )
    given = {"trials": 4, "rungs": (), "division": division, "sampler": "random"}
    study = opened(tmp_path, space, references, **given)
    for value in (0.5, 0.4):
        job = study.next()
        assert job is not None
        study.end(job, completed(value))
    plan = planned(study)
    assert list(plan.arms) == ["champion", "plain", "found mgd", "plain mgd"]
    assert (plan.arms["plain"].training.lr, plan.arms["plain mgd"].training.lr) == (0.1, 0.2)


def test_arms_are_told_with_their_rival(tmp_path: Path) -> None:
    study = arena(tmp_path)
    plan = planned(study)
    assert announced(plan).endswith(
        "3 fresh seeds each of best setting found, plain student, same recipe, best published setting, "
        "kd, best setting found, mgd, best published setting, mgd"
    )
    run_all(study)
    proof = Prover(study, 3).proof()
    assert proof is not None
    assert [row[0].partition(" (")[0] for row in spreads(proof)][2:4] == [
        "best published setting, kd",
        "best setting found, mgd",
    ]


def test_an_ordinary_study_is_proven_as_ever(tmp_path: Path) -> None:
    study = arena(tmp_path, division=None)
    assert list(planned(study).arms) == ["champion", "plain", "published"]
