"""What is run to prove the best student, with which seeds, and what a driver that dies leaves of it."""

from pathlib import Path

import pytest
from optuna.trial import FrozenTrial

from afdcd.search.claims import announced, claim, spreads, to_settle
from afdcd.search.proof import CHAMPION, PLAIN, PROOF, PUBLISHED, Proof, Prover
from afdcd.search.study import Study
from afdcd.training.job import Job
from tests.search.studies import completed, lost, opened, report, run_to_the_end, space_of

REFERENCES = ({"training.lr": 0.25, "distiller": "none"}, {"training.lr": 0.5, "distiller": "kd"})
WINNER = 0.9  # the score of the best run of the search
LENGTH = 40


def searched(folder: Path, trials: int = 3) -> Study:
    """A study whose search is over: a plain student, a published setting, and one that was found."""
    study = opened(folder, references=REFERENCES, trials=trials, rungs=(), sampler="tpe")
    for value in (0.3, 0.5, WINNER)[study.finished() :]:
        run_to_the_end(study, value)
    assert study.next() is None
    return study


def value_of(job: Job) -> float:
    """Each method has its level, each seed its luck, and both have a little of their own."""
    seed, method = job.config.training.seed, job.config.distiller.method
    level = {"none": 0.40, "kd": 0.45}[method]
    return level + 0.02 * seed + 0.001 * ((seed * 7 + len(method)) % 3)


def run_all(study: Study) -> list[Job]:
    jobs = []
    while job := study.next():
        value = value_of(job)
        study.report(job, report(LENGTH, value))
        study.end(job, completed(value))
        jobs.append(job)
    return jobs


def proven(study: Study, seeds: int = 3) -> Proof:
    proof = Prover(study, seeds).proof()
    assert proof is not None
    return proof


def champion_of(study: Study) -> str:
    config = study.config_of(study.best()[0])
    assert config is not None
    return config.distiller.method


def test_all_arms_run_with_the_same_fresh_seeds_and_differ_in_nothing_else(tmp_path: Path) -> None:
    study = searched(tmp_path)
    plan = Prover(study, 3).ask()
    assert plan is not None and plan.seeds == (1, 2, 3)
    jobs = run_all(study)
    by_seed = [
        {j.config.distiller.method for j in jobs if j.config.training.seed == s} for s in plan.seeds
    ]
    assert {job.config.training.seed for job in jobs} == {1, 2, 3}
    found, plain = plan.arms[CHAMPION], plan.arms[PLAIN]
    assert plain.distiller.method == "none"
    assert plain.updated(distiller=found.distiller) == found
    assert plan.arms[PUBLISHED].training.lr == 0.5
    assert all(methods == {found.distiller.method, "none", "kd"} for methods in by_seed)


def test_the_proof_costs_no_trial_and_is_no_candidate(tmp_path: Path) -> None:
    study = searched(tmp_path)
    before = study.best(9)
    Prover(study, 3).ask()
    assert study.wanted() == 3 + 9
    run_all(study)
    assert study.counted() == 3 and study.finished() == 12
    assert study.best(9) == before


def test_runs_of_a_trial_are_its_further_seeds_and_the_plain_student_has_a_page_of_its_own(
    tmp_path: Path,
) -> None:
    """The matched plain student lies outside of the search: nobody asked for its learning rate."""
    study = searched(tmp_path)
    Prover(study, 3).ask()
    names = {(job.config.distiller.method, job.name) for job in run_all(study)}
    trial = study.best()[0].first
    assert ("kd", f"trial-{trial:04d}-seed-1") in names and ("kd", "trial-0001-seed-3") in names
    alone = sorted(name for method, name in names if method == "none")
    assert alone == ["trial-0004", "trial-0004-seed-2", "trial-0004-seed-3"]


def test_runs_of_a_trial_show_its_parameters_in_the_database(tmp_path: Path) -> None:
    """Else the pictures of Optuna's dashboard would have points that lie nowhere."""
    study = searched(tmp_path)
    Prover(study, 3).ask()
    run_all(study)
    trials = {e.first: e for e in study.entries() if e.repeats is None}
    further = [e for e in study.entries() if e.repeats is not None]
    assert all(e.params == trials[e.repeats or 0].params for e in further)
    assert next(e.params for e in further if e.repeats == study.best()[0].first)


def test_a_new_driver_asks_for_what_is_missing_and_for_nothing_twice(tmp_path: Path) -> None:
    study = searched(tmp_path)
    plan = Prover(study, 3).ask()
    assert plan is not None
    first = study.next()
    assert first is not None
    study.end(first, completed(0.5))
    study = opened(
        tmp_path, references=REFERENCES, trials=3, rungs=(), sampler="tpe"
    )  # the first driver died
    assert len(run_all(study)) == 8
    prover = Prover(study, 3)
    assert prover.ask() is None
    found = prover.proof()
    assert found and found.plan == plan and [len(runs) for runs in found.runs.values()] == [3, 3, 3]


def test_a_driver_that_died_while_it_asked_is_made_up_for(tmp_path: Path) -> None:
    """After the first of nine requests."""
    study = searched(tmp_path)
    ask_for, asked = study.ask_for, []

    def dying(row: FrozenTrial) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(row)
        ask_for(row)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(study, "ask_for", dying)
        Prover(study, 3).ask()
    study = opened(tmp_path, references=REFERENCES, trials=3, rungs=(), sampler="tpe")
    assert len(run_all(study)) == 1
    assert Prover(study, 3).ask() is not None
    assert len(run_all(study)) == 8


def test_a_lost_run_is_asked_for_by_the_next_driver_only(tmp_path: Path) -> None:
    study = searched(tmp_path)
    prover = Prover(study, 3)
    prover.ask()
    for _ in range(3):
        job = study.next()
        assert job is not None
        study.end(job, lost())
    run_all(study)
    assert prover.ask() is None
    found = prover.proof()
    assert found and found.unmet == ["proof, champion seed 1: gone"]
    assert found.scores(CHAMPION).keys() == {2, 3}
    study = opened(tmp_path, references=REFERENCES, trials=3, rungs=(), sampler="tpe")
    assert Prover(study, 3).ask() is not None
    assert [job.config.training.seed for job in run_all(study)] == [1]


def test_more_seeds_keep_those_that_ran(tmp_path: Path) -> None:
    study = searched(tmp_path)
    Prover(study, 3).ask()
    run_all(study)
    plan = Prover(study, 5).ask()
    assert plan is not None and plan.seeds == (1, 2, 3, 4, 5)
    assert {job.config.training.seed for job in run_all(study)} == {4, 5}


def test_another_best_trial_is_proven_with_seeds_that_nothing_had(tmp_path: Path) -> None:
    study = searched(tmp_path)
    Prover(study, 3).ask()
    run_all(study)
    study = opened(tmp_path, references=REFERENCES, trials=4, rungs=(), sampler="tpe")
    run_to_the_end(study, 0.99)
    plan = Prover(study, 3).ask()
    assert plan is not None and plan.seeds == (4, 5, 6)
    assert plan.trial == study.best()[0].first


def test_nothing_is_asked_for_without_seeds_or_without_a_best(tmp_path: Path) -> None:
    study = opened(tmp_path, references=REFERENCES, trials=3, rungs=(), sampler="tpe")
    assert Prover(study, 3).ask() is None and Prover(study, 3).proof() is None
    study = searched(tmp_path)
    assert Prover(study, 0).ask() is None and Prover(study, 0).proof() is None
    assert PROOF not in study.study.user_attrs


def test_a_plain_student_that_is_the_best_is_held_against_the_published_only(
    tmp_path: Path,
) -> None:
    study = opened(tmp_path, references=REFERENCES, trials=2, rungs=(), sampler="tpe")
    for value in (0.5, 0.3):
        run_to_the_end(study, value)
    plan = Prover(study, 3).ask()
    assert plan is not None and list(plan.arms) == [CHAMPION, PUBLISHED]
    run_all(study)
    found = proven(study)
    assert found.verdict == "not distinguishable"
    assert claim(found) == "the plain student itself, 44.10 ± 1.95 % over 3 seeds"
    assert to_settle(found) == ""


def test_a_proof_is_told_in_words_with_its_interval(tmp_path: Path) -> None:
    study = opened(
        tmp_path,
        space_of(distiller={"choice": [{"method": "none"}, {"method": "kd"}]}),
        REFERENCES,
        trials=2,
        rungs=(),
    )
    for value in (0.3, 0.5):
        run_to_the_end(study, value)
    plan = Prover(study, 3).ask()
    assert plan is not None
    assert (
        announced(plan)
        == "trial 1: 3 fresh seeds each of best setting found, plain student, same recipe"
    )
    run_all(study)
    found = proven(study)
    assert found.verdict == "better"
    assert claim(found) == "better than the plain student: +5.00 points [+4.57, +5.43] over 3 seeds"
    assert [row[0] for row in spreads(found)] == [
        "best setting found (trial 1)",
        "plain student, same recipe (trial 3)",
    ]
