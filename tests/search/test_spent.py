"""What trials buy: full runs' worth."""

from dataclasses import replace
from pathlib import Path

from afdcd.search.spent import affordable, full_runs
from afdcd.training.job import Failure, result_of
from tests.search.studies import (
    LENGTH,
    REFERENCES,
    completed,
    lost,
    opened,
    pause,
    report,
    run_to_the_end,
)


def test_each_run_costs_the_part_of_its_length_that_it_reached(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=4)
    run_to_the_end(study, 0.5)
    pause(study, 0.1)
    failing = study.next()
    study.report(failing, report(20, 0.2))
    study.end(failing, result_of(LENGTH, None, Failure(failed="nan", fault="setting")))
    assert full_runs(study.entries()) == 1 + 0.25 + 0.5
    study.end(study.next(), lost("gone", "data"))
    study.repeat(0, seed=5)
    study.end(study.next(), completed(0.4))
    assert full_runs(study.entries()) == 1.75


def test_a_further_seed_that_the_study_runs_itself_costs_a_run(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=4)
    run_to_the_end(study, 0.5)
    run_to_the_end(study, 0.4)
    first, second = study.entries()
    again = replace(second, repeats=0, seed=1, further=True)
    assert full_runs([first, again]) == 2
    assert full_runs([first, replace(again, outcome="lost")]) == 1


def test_nothing_starts_that_the_rest_cannot_pay_to_its_end(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=3)
    run_to_the_end(study, 0.5)
    pause(study, 0.1)
    assert affordable(3, study.entries()) == 1
    assert study.wanted() == 3
    running = study.next()  # counts whole
    assert study.next() is None
    study.report(running, report(10, 0.4))
    study.end(running, result_of(LENGTH, report(10, 0.4), None))
    assert study.wanted() == 4  # it ended early, and what is left pays for one more
    assert study.next() is not None


def test_a_run_that_is_taken_up_again_is_paid_for_once(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=3)
    run_to_the_end(study, 0.5)
    pause(study, 0.1)
    study.reopen(1, reference={})
    assert full_runs(study.entries()) == 2
    study.end(study.next(), completed(0.2))
    assert full_runs(study.entries()) == 2


def test_references_that_the_trials_do_not_pay_for_wait(tmp_path: Path) -> None:
    study = opened(tmp_path, references=REFERENCES, trials=1)
    run_to_the_end(study, 0.5)
    assert study.next() is None
    assert not study.stirred()
    study = opened(tmp_path, references=REFERENCES, trials=2)
    assert study.next() is not None
