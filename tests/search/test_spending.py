"""What a study spends, and where its budget ends it: the real study, fed by hand, with a clock by hand."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from afdcd.search import ledger, wishes, work_clock
from afdcd.search.budget import Budget, Cost
from afdcd.search.config import BudgetConfig
from afdcd.search.study import Study
from afdcd.search.work_clock import WorkClock
from afdcd.training.job import Job
from tests.pulses import attempt
from tests.search.studies import (
    REFERENCES,
    completed,
    lost,
    opened,
    report,
    run_to_the_end,
)

GUESS = Cost(device_hours=1.0, hours=1.0)


def study_with(
    folder: Path, *, proof_runs: int = 0, cost: float = 1.0, expected: Cost = GUESS, **more: Any
) -> Study:
    """Every attempt at a run takes `cost` device-hours; limits and the rest are in `more`."""
    limits = {key: more.pop(key) for key in ("device_hours", "wall_clock") if key in more}
    study = opened(folder, trials=20, rungs=(), **more)
    study.settings = replace(
        study.settings, attempts=lambda run: [attempt(at=3600 * cost, started=0.0)]
    )
    study.spending.budget = Budget(BudgetConfig(**limits), proof_runs)
    study.spending.expected = expected
    return study


def runs_until_it_ends(study: Study) -> int:
    count = 0
    while (job := study.next()) is not None:
        study.end(job, completed(0.5))
        count += 1
    return count


def test_it_ends_before_a_run_that_the_rest_cannot_pay(tmp_path: Path) -> None:
    study = study_with(tmp_path, device_hours=5.5)
    assert runs_until_it_ends(study) == 5
    assert "study.budget.device_hours 5.5: 5 spent, another run takes 1" in study.spending.short
    assert not study.stirred()
    assert study.spent() == 5.0


def test_the_proof_keeps_its_share_and_gets_it(tmp_path: Path) -> None:
    study = study_with(tmp_path, device_hours=6.0, proof_runs=3)
    assert runs_until_it_ends(study) == 3
    for seed in (7, 8, 9, 10):
        study.repeat(0, seed)
    assert runs_until_it_ends(study) == 3  # as many as were laid aside, and no more
    assert study.spent() == 6.0


def test_the_first_runs_are_reckoned_and_then_their_mean_counts(tmp_path: Path) -> None:
    study = study_with(tmp_path, device_hours=11.0, expected=Cost(2.0, 2.0), cost=3.0, proof_runs=1)
    run_to_the_end(study, 0.5)  # 2, and 2 for the proof
    run_to_the_end(study, 0.5)  # 3 spent, 3 and 3
    assert study.next() is None  # 6, 3 and 3; it would pay for 2 and 2


def test_live_runs_are_owed_what_they_still_need(tmp_path: Path) -> None:
    study = study_with(tmp_path, device_hours=3.5, cost=0.5)
    study.settings = replace(study.settings, attempts=lambda run: ())
    live = [study.next() for _ in range(3)]
    assert study.next() is None  # three are promised 1 each
    study.report(live[0], report(20, 0.5))
    study.report(live[1], report(20, 0.5))
    assert study.next() is not None  # two have reached their half


def test_lost_attempts_and_other_expenses_count(tmp_path: Path) -> None:
    study = study_with(tmp_path, device_hours=4.0)
    ledger.note_other(study.study, "teacher-a", 1.0)
    ledger.note_other(study.study, "teacher-a", 1.5)  # the same, further on
    ledger.add_measuring(study.study, 0.25)
    ledger.add_measuring(study.study, 0.25)
    assert study.spent() == 2.0
    assert runs_until_it_ends(study) == 2


def test_a_run_whose_rest_is_not_paid_waits_for_a_larger_budget(tmp_path: Path) -> None:
    study = study_with(tmp_path, device_hours=1.5)
    job = study.next()
    study.report(job, report(10, 0.5))
    study.end(job, lost())  # an hour is gone, and three quarters are still to be run
    assert study.next() is None
    entry = study.entries()[0]
    assert (entry.state, entry.outcome) == (TrialState.PRUNED, "paused")
    assert "study.budget.device_hours" in entry.cause


def test_a_reference_that_was_given_up_is_run_once_the_budget_is_raised(tmp_path: Path) -> None:
    study = study_with(tmp_path, device_hours=1.5, references=REFERENCES[:1])
    study.end(study.next(), lost())
    assert study.next() is None
    assert study.entries()[0].outcome == "lost"
    wishes.raise_budget(study.study, device_hours=9.0)
    study = study_with(tmp_path, device_hours=1.5, references=REFERENCES[:1])
    assert study.next().config.training.lr == 0.25


def test_a_raised_budget_stirs_the_driver(tmp_path: Path) -> None:
    study = study_with(tmp_path, device_hours=1.5)
    assert runs_until_it_ends(study) == 1
    assert not study.stirred()
    wishes.raise_budget(study.study, device_hours=2.5)
    assert study.stirred()
    assert runs_until_it_ends(study) == 1


def test_the_clock_of_all_drivers_ends_it(tmp_path: Path) -> None:
    now = [0.0]
    first = study_with(tmp_path, wall_clock=4.0)
    clock = WorkClock(first.study, driver=1, clock=lambda: now[0])
    first.spending.worked = clock.hours
    job = _one_hour(first, now)
    clock.note()
    now[0] += 3600 * 0.5  # not noted: this driver was killed
    study = study_with(tmp_path, wall_clock=4.0)
    clock = WorkClock(study.study, driver=2, clock=lambda: now[0])
    study.spending.worked = clock.hours
    assert study.spending.worked() == 1.0
    assert _one_hour(study, now).name != job.name
    clock.note()
    assert study.spending.worked() == ledger.worked_hours(study.study) == 2.0
    _one_hour(study, now)
    _one_hour(study, now)
    assert study.next() is None
    assert "study.budget.wall_clock 4 h: 4 h passed" in study.spending.short


def _one_hour(study: Study, now: list[float]) -> Job:
    job = study.next()
    now[0] += 3600
    study.end(job, completed(0.5))
    return job


def test_a_driver_that_takes_its_own_lease_up_again_counts_on(tmp_path: Path) -> None:
    now = [0.0]
    study = opened(tmp_path).study
    clock = WorkClock(study, driver=1, clock=lambda: now[0])
    now[0] = 7200.0
    clock.note()
    again = WorkClock(study, driver=1, clock=lambda: now[0])
    now[0] = 10800.0
    assert again.hours() == pytest.approx(3.0)
    again.note()
    assert ledger.worked_hours(study) == pytest.approx(3.0)


def test_the_time_of_a_driver_is_noted_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_clock, "EVERY", 0.01)
    study = opened(tmp_path).study
    with work_clock.working(study, driver=7):
        for _ in range(1000):  # a driver that is killed here leaves what was noted
            if "7" in study.user_attrs.get(ledger.WORKED, {}):
                break
            time.sleep(0.01)
        assert "7" in study.user_attrs[ledger.WORKED]


def test_without_a_limit_no_account_is_read(tmp_path: Path) -> None:
    study = study_with(tmp_path)

    def unread(run: Any) -> Any:
        raise AssertionError("a slow store would delay every proposal")

    study.settings = replace(study.settings, attempts=unread)
    assert [study.next() is None for _ in range(3)] == [False] * 3
