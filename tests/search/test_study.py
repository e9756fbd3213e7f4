"""The study fed by hand: what is proposed, paused, told, and what a new driver finds."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from afdcd.config import UserError
from afdcd.search.study import Study
from afdcd.training.job import Failure, Job, result_of
from afdcd.training.pulse import Attempt
from tests.pulses import attempt
from tests.search.studies import (
    LENGTH,
    LR,
    REFERENCES,
    completed,
    lost,
    opened,
    pause,
    report,
    run_to_the_end,
    space_of,
)


def rate(job: Job | None) -> float:
    assert job is not None
    return job.config.training.lr


def states(study: Study) -> list[TrialState]:
    return [trial.state for trial in study.study.get_trials(deepcopy=False)]


def test_references_come_first_and_only_once_over_all_drivers(tmp_path: Path) -> None:
    study = opened(tmp_path, references=REFERENCES)
    first = study.next()
    assert (rate(first), first.config.distiller.method) == (0.25, "none")
    study = opened(tmp_path, references=REFERENCES)
    again = study.next()
    assert (again.name, rate(again)) == (first.name, 0.25)
    study.end(again, completed(0.5))
    assert rate(study.next()) == 0.75
    study = opened(tmp_path, references=REFERENCES)
    assert len(states(study)) == 2


def test_begun_runs_are_taken_up_first_with_their_settings(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.5)
    begun = [study.next() for _ in range(2)]
    study = opened(tmp_path)
    again = [study.next() for _ in range(3)]
    assert [job.name for job in again] == ["trial-0001", "trial-0002", "trial-0003"]
    assert [job.identity for job in again[:2]] == [job.identity for job in begun]


def test_a_run_taken_up_keeps_its_values_and_reports_each_iteration_once(tmp_path: Path) -> None:
    study = opened(tmp_path)
    study.report(study.next(), report(10, 0.3))
    study = opened(tmp_path)
    job = study.next()
    study.report(job, report(10, 0.9))
    study.report(job, report(20, 0.4))
    assert study.entries()[0].curve == {10: 0.3, 20: 0.4}


def test_infeasible_settings_count_lost_runs_do_not(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=2)
    study.end(study.next(), result_of(LENGTH, None, Failure(failed="nan", fault="setting")))
    study.end(study.next(), lost("row 7 cannot be read", "data"))
    assert study.counted() == 1
    run_to_the_end(study, 0.1)
    assert study.wanted() == 3  # the failure cost nothing: it had reached no validation
    run_to_the_end(study, 0.2)
    assert study.next() is None
    outcomes = [(entry.outcome, entry.cause) for entry in study.entries()]
    lost_one = ("lost", "row 7 cannot be read")
    assert outcomes == [("infeasible", "nan"), lost_one, ("completed", ""), ("completed", "")]
    study = opened(tmp_path, trials=3)
    assert study.next().name == "trial-0004"


def test_a_lost_run_goes_on_and_ends_with_its_cause_at_the_third_time(tmp_path: Path) -> None:
    study = opened(tmp_path)
    job = study.next()
    for _ in range(2):
        study.end(job, lost("node gone"))
        assert study.next().name == job.name
    study.end(job, lost("node gone"))
    assert study.next().name != job.name
    assert [e.outcome for e in study.entries()] == ["lost", None]


def test_losses_are_counted_over_drivers_and_made_up_for_by_progress(tmp_path: Path) -> None:
    job = (study := opened(tmp_path)).next()
    study.end(job, lost())
    study.end(study.next(), lost())
    job = (study := opened(tmp_path)).next()
    study.report(job, report(10, 0.5))
    study.end(job, lost())
    assert study.next().name == job.name  # the third time, but it is 10 iterations further
    study.end(job, lost())
    study.end(study.next(), lost())
    assert [e.outcome for e in study.entries()] == ["lost"]


def test_memory_is_filled_twice_at_most(tmp_path: Path) -> None:
    study = opened(tmp_path)
    job = study.next()
    study.end(job, lost("MemoryError", "memory"))
    study.end(study.next(), lost("MemoryError", "memory"))
    assert [e.outcome for e in study.entries()] == ["lost"]


def test_three_runs_lost_in_a_row_stop_the_study_with_the_cause(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=40)
    jobs = [study.next() for _ in range(4)]
    study.end(jobs[0], lost("no space left"))
    study.end(jobs[1], completed(0.5))
    for job in jobs[2:]:
        study.end(job, lost("no space left"))
    again = study.next()  # a run that ended well is proof that its machine works
    study.end(again, lost("no space left"))
    with pytest.raises(UserError, match="3 runs in a row were lost: no space left"):
        study.next()
    study = opened(tmp_path, trials=40)  # the same command, when there is space
    assert study.next().name == jobs[0].name
    assert study.counted() == 4


def test_a_drain_is_no_fault_however_often_it_comes(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=40)
    drained = lost("node 10.0.0.3 is being drained", "drain")
    jobs = [study.next() for _ in range(4)]
    for _ in range(4):
        for job in jobs:
            study.end(job, drained)
        assert [study.next().name for _ in jobs] == [job.name for job in jobs]
    for _ in range(2):
        study.end(jobs[0], lost())
        study.end(study.next(), drained)  # and it makes up for none
        assert study.next().name == jobs[0].name
    study.end(jobs[0], lost())
    assert [e.outcome for e in study.entries()] == ["lost", None, None, None]
    assert study.entries()[1].cause == ""


def test_drains_between_losses_neither_count_nor_hide_them(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=40)
    first, second, third, moved = [study.next() for _ in range(4)]
    study.end(first, lost("full"))
    study.end(second, lost("full"))
    study.end(moved, lost("node 10.0.0.3 is being drained", "drain"))
    assert study.next().name == first.name
    study.end(third, lost("full"))
    with pytest.raises(UserError, match="3 runs in a row were lost: full;"):
        study.next()


def test_a_lost_reference_is_run_again_by_the_next_driver(tmp_path: Path) -> None:
    study = opened(tmp_path, references=REFERENCES[:1])
    study.end(study.next(), lost("disk full", "data"))
    study = opened(tmp_path, references=REFERENCES[:1])
    again = study.next()
    assert rate(again) == 0.25
    assert again.name != "trial-0000"
    study.end(again, result_of(LENGTH, None, Failure(failed="nan", fault="setting")))
    study = opened(tmp_path, references=REFERENCES[:1], trials=1)
    assert rate(study.next()) != 0.25  # infeasible it stays


def test_worse_half_is_paused_with_its_values(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.6)
    run_to_the_end(study, 0.7)
    bad = study.next()
    assert study.report(bad, report(10, 0.1)) is True
    study.end(bad, result_of(LENGTH, report(10, 0.1), None))
    row = study.study.get_trials()[2]
    assert (row.state, row.intermediate_values) == (TrialState.PRUNED, {10: 0.1})


def test_a_decision_is_the_same_for_a_new_driver(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.6)
    run_to_the_end(study, 0.7)
    study = opened(tmp_path)
    assert study.report(study.next(), report(10, 0.1)) is True


def test_a_pause_that_was_decided_and_not_told_is_made_up_for(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.6)
    run_to_the_end(study, 0.7)
    bad = study.next()
    assert study.report(bad, report(10, 0.1)) is True  # and here the driver dies
    study = opened(tmp_path)
    assert study.next().name != bad.name
    assert study.entries()[2].outcome == "paused"


def test_references_compete_but_are_never_paused(tmp_path: Path) -> None:
    study = opened(tmp_path, references=REFERENCES[:1])
    reference, other = study.next(), study.next()
    assert study.report(other, report(10, 0.6)) is False
    assert study.report(reference, report(10, 0.01)) is False
    study.report(reference, report(20, 0.7))
    assert study.report(other, report(20, 0.6)) is True  # of two at the rung one goes on


def test_other_iterations_than_rungs_decide_nothing(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.6)
    run_to_the_end(study, 0.7)
    job = study.next()
    assert study.report(job, report(30, 0.0)) is False
    assert study.report(job, report(LENGTH, 0.0)) is False


def test_changed_rungs_compare_equal_iterations_only(tmp_path: Path) -> None:
    study = opened(tmp_path, rungs=(20,), trials=9)
    for value in (0.40, 0.42):
        job = study.next()
        study.report(job, report(10, value))
        study.report(job, report(20, 0.9))
    study = opened(tmp_path, rungs=(10,), trials=9)
    begun = [study.next() for _ in range(3)]
    assert study.report(begun[2], report(20, 0.1)) is False
    assert study.report(begun[2], report(10, 0.43)) is False  # the best of those at 10
    assert study.report(study.next(), report(10, 0.41)) is True


def test_an_enqueued_setting_that_was_paused_goes_on_to_full_length(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.6)
    bad = pause(study, 0.1)
    asked = {"training.lr": rate(bad), "distiller": bad.config.distiller.method}
    study = opened(tmp_path, references=(asked,))
    again = study.next()
    assert (again.name, again.folder, again.identity) == (bad.name, bad.folder, bad.identity)
    assert study.report(again, report(20, 0.05)) is False
    study.end(again, completed(0.3))
    counted = [(e.run.name, e.outcome, e.curve) for e in study.entries()][1:]
    assert counted == [(bad.name, "completed", {10: 0.1, 20: 0.05})]
    assert states(study) == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE]
    assert len(states(opened(tmp_path, references=(asked,)))) == 3  # asked for once


def test_an_enqueued_setting_that_runs_is_not_paused_any_more(tmp_path: Path) -> None:
    job = (study := opened(tmp_path)).next()
    asked = {"training.lr": rate(job), "distiller": job.config.distiller.method}
    study = opened(tmp_path, references=(asked,))
    again = study.next()
    assert again.name == job.name
    assert study.entries()[0].is_reference


def test_value_that_is_no_number_ends_a_run_and_is_not_recorded(tmp_path: Path) -> None:
    study = opened(tmp_path)
    job = study.next()
    assert study.report(job, report(10, math.nan)) is True
    assert study.entries()[0].curve == {}


def test_a_killed_run_goes_on_with_the_next_driver(tmp_path: Path) -> None:
    study = opened(tmp_path)
    job = study.next()
    study.report(job, report(10, 0.5))
    study.end(job, result_of(LENGTH, None, None).__class__("killed"))
    assert opened(tmp_path).next().name == job.name


def test_best_are_full_length_runs_only(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=9)
    for value in (0.3, 0.5, 0.4):
        run_to_the_end(study, value)
    pause(study, 0.99)
    study.end(study.next(), result_of(LENGTH, None, Failure(failed="x", fault="setting")))
    study.next()
    assert sorted(entry.value for entry in study.best(9)) == [0.3, 0.4, 0.5]


def test_new_driver_does_not_repeat_the_first_draws(tmp_path: Path) -> None:
    study = opened(tmp_path)
    drawn = [rate(run_to_the_end(study, 0.1)) for _ in range(3)]
    assert rate(opened(tmp_path).next()) not in drawn


def test_same_seed_proposes_the_same_settings(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    a, b = opened(tmp_path / "a"), opened(tmp_path / "b")
    assert [a.next().identity for _ in range(3)] == [b.next().identity for _ in range(3)]


def test_no_setting_is_paid_for_twice(tmp_path: Path) -> None:
    space = space_of(lr=0.1, distiller={"choice": [{"method": m} for m in ("none", "kd", "mgd")]})
    study = opened(tmp_path, space, trials=9)
    methods = []
    while job := study.next():
        methods.append(job.config.distiller.method)
        if len(methods) == 1:
            study.end(job, result_of(LENGTH, report(10, 0.2), None))
        elif len(methods) == 2:
            study.end(job, completed(0.5))
    assert sorted(methods) == ["kd", "mgd", "none"]  # then the space is exhausted
    assert len(study.entries()) == 3
    assert [entry.value for entry in study.best(9)] == [0.5]


def test_impossible_combinations_end_with_their_reason(tmp_path: Path) -> None:
    space = space_of(lr=LR, training__batch={"choice": [1, 4]})
    study = opened(tmp_path, space, trials=8)
    while job := study.next():
        assert job.config.training.batch == 4
        study.end(job, completed(0.1))
    infeasible = [entry for entry in study.entries() if entry.outcome == "infeasible"]
    assert infeasible
    assert "each worker needs at least 2 images" in infeasible[0].cause


def test_a_run_is_not_paused_at_work_that_was_lost(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.5)
    weak = study.next()
    study.report(weak, report(10, 0.1))  # and the driver dies before it can say so
    study = opened(tmp_path)
    study.settings = replace(study.settings, checkpoint=lambda run: 0)
    assert study.next().name == weak.name  # once more, for a checkpoint that can be taken up
    study = opened(tmp_path)
    study.settings = replace(study.settings, checkpoint=lambda run: 10)
    assert study.next().name != weak.name
    assert study.entries()[1].outcome == "paused"


def test_a_run_that_was_drained_after_a_rung_is_not_judged_there_again(tmp_path: Path) -> None:
    """It went on from there once; what is known by now of others would pause it."""
    study = opened(tmp_path)
    weak = study.next()
    assert not study.report(weak, report(10, 0.1))  # the first of all
    run_to_the_end(study, 0.5)
    study.end(weak, lost("node 10.0.0.3 is being drained", "drain"))
    study.settings = replace(study.settings, checkpoint=lambda run: 13)
    assert study.next().name == weak.name


def accounting(study: Study, *attempts: Attempt) -> Study:
    """Every run says that it was attempted so."""
    study.settings = replace(study.settings, attempts=lambda run: attempts)
    return study


def test_every_attempt_is_in_the_ledger_over_all_drivers(tmp_path: Path) -> None:
    lost_one, last = attempt(at=1800.0, started=0.0), attempt(at=4600.0, started=1000.0, devices=2)
    study = accounting(opened(tmp_path), lost_one)
    run_to_the_end(study, 0.5)
    job = study.next()
    study.end(job, lost())
    assert study.entries()[1].device_hours == 0.5  # lost work is paid for, too
    study = accounting(opened(tmp_path), lost_one, last)
    assert study.spent() == 0.5
    assert study.next().name == job.name
    assert study.entries()[1].device_hours == 2.5  # known before it ends
    study.end(job, completed(0.4))
    assert [e.device_hours for e in study.entries()] == [0.5, 2.5]
    assert opened(tmp_path).spent() == 3.0


def test_an_account_that_was_lost_with_its_folder_stays_in_the_ledger(tmp_path: Path) -> None:
    study = accounting(opened(tmp_path), attempt(at=3600.0, started=0.0))
    study.end(job := study.next(), lost())
    study = accounting(opened(tmp_path))
    study.next()
    study.end(job, completed(0.4))
    assert study.spent() == 1.0
