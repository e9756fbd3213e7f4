"""The accounting of a budget, fed by hand."""

from typing import Any

import pytest

from afdcd.config import UserError, validate
from afdcd.search.budget import Budget, Cost, Spent
from afdcd.search.config import BudgetConfig, StudyConfig

RUN = Cost(device_hours=2.0, hours=1.0)


def budget(proof_runs: int = 0, at_once: int = 1, **limits: float) -> Budget:
    return Budget(BudgetConfig(**limits), proof_runs, at_once)


def test_without_limits_everything_is_paid() -> None:
    assert not budget().is_limited
    assert budget(proof_runs=15).refuses(Spent(1e9, 1e9, 1e9), RUN) == ""


def test_a_run_starts_only_if_the_rest_pays_for_it_to_its_end() -> None:
    ten = budget(device_hours=10.0)
    assert ten.refuses(Spent(device_hours=8.0), RUN) == ""
    assert "8.1 spent, another run takes 2" in ten.refuses(Spent(device_hours=8.1), RUN)


def test_what_running_runs_still_need_is_promised_to_them() -> None:
    ten = budget(device_hours=10.0)
    assert ten.refuses(Spent(device_hours=4.0, owed=4.0), RUN) == ""
    told = ten.refuses(Spent(device_hours=4.0, owed=4.5), RUN)
    assert "study.budget.device_hours 10: 4 spent, 4.5 promised to runs that go on" in told


def test_a_run_that_is_taken_up_costs_what_is_left_of_it() -> None:
    ten = budget(device_hours=10.0)
    assert ten.refuses(Spent(device_hours=9.4), RUN, share=0.25) == ""
    assert ten.refuses(Spent(device_hours=9.6), RUN, share=0.25) != ""


def test_the_share_of_the_proof_is_laid_aside_first() -> None:
    proven = budget(device_hours=10.0, proof_runs=3)
    assert proven.refuses(Spent(device_hours=2.0), RUN) == ""
    assert "6 kept for the proof, " in proven.refuses(Spent(device_hours=2.1), RUN)
    again = proven.refuses(Spent(device_hours=2.1, proven=1.0), RUN)
    assert "6 kept for the proof that a better setting would need, " in again


def test_on_the_clock_runs_are_side_by_side_and_the_proof_comes_after() -> None:
    clock = budget(wall_clock=4.0, proof_runs=5, at_once=2)  # three turns of an hour
    assert clock.refuses(Spent(hours=0.0, owed=99.0), RUN) == ""
    assert "0.1 h passed, 3 kept for the proof" in clock.refuses(Spent(hours=0.1), RUN)


@pytest.mark.parametrize(
    ("written", "hours"),
    [
        ("36h", 36.0),
        ("90m", 1.5),
        ("2d", 48.0),
        ("0.5h", 0.5),
        ("1800s", 0.5),
        (12, 12.0),
        (1.5, 1.5),
    ],
)
def test_a_duration_is_read(written: Any, hours: float) -> None:
    assert validate(BudgetConfig, {"wall_clock": written}).wall_clock == pytest.approx(hours)


@pytest.mark.parametrize(
    "wrong", ["36", "36 h", "h", "1h30m", "-1h", "1e3h", "36H", "0h", -1, 0, True]
)
def test_what_is_no_duration_is_refused_with_its_key(wrong: Any) -> None:
    with pytest.raises(UserError, match=r"wall_clock: ") as error:
        validate(BudgetConfig, {"wall_clock": wrong})
    assert "\n" not in str(error.value)


def test_runs_take_the_place_of_trials() -> None:
    assert StudyConfig().runs == StudyConfig().trials
    assert validate(StudyConfig, {"budget": {"runs": 7}}).runs == 7
    with pytest.raises(UserError, match=r"budget.runs: input should be greater than 0"):
        validate(StudyConfig, {"budget": {"runs": 0}})
