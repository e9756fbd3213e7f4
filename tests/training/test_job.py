"""What a run tells, and how it is taken to have ended."""

import math
from typing import Any

import pytest

from afdcd.training.job import Failure, Report, RunResult, message_of, result_of, said
from tests.examples import report, score

TUNES = {"training_iteration": 3, "time_total_s": 1.5, "trial_id": "a", "done": True, "config": {}}
DIVERGED = Failure(failed="loss term kd is not finite", fault="setting", iteration=2)


@pytest.mark.parametrize("message", [report(), DIVERGED])
def test_a_message_comes_back_out_of_what_tune_hands_on(message: Report | Failure) -> None:
    assert message_of({**said(message), **TUNES}) == message


def test_a_score_that_is_no_number_comes_back_too() -> None:
    given = report(score=score(math.nan, **{"iou/road": math.nan}), curve={"kd": [1.0, math.inf]})
    found = message_of(said(given))
    assert isinstance(found, Report)
    assert math.isnan(found.score.value)
    assert math.isnan(found.score.parts["iou/road"])
    assert found.curve == given.curve


def test_a_run_that_told_nothing_has_no_message() -> None:
    assert message_of(TUNES) is None


def test_device_hours_are_those_of_all_devices() -> None:
    assert report(seconds=1800.0, devices=4).device_hours == 2.0


FAULTS: list[Any] = ["data", "machine", "memory"]


def test_full_length_is_complete_and_less_is_paused() -> None:
    assert result_of(4, report(4), None) == RunResult("completed", report(4))
    assert result_of(4, report(2), None) == RunResult("paused", report(2))
    assert result_of(4, None, None) == RunResult("paused")


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_the_settings_fault_is_lost(fault: Any) -> None:
    failure = Failure(failed="no answer", fault=fault)
    assert result_of(4, report(2), failure) == RunResult("lost", report(2), "no answer", fault)


def test_a_settings_fault_is_infeasible_also_after_a_full_length() -> None:
    expected = RunResult("infeasible", None, DIVERGED.failed, "setting")
    assert result_of(4, None, DIVERGED) == expected
    assert result_of(4, report(4), DIVERGED).outcome == "infeasible"


@pytest.mark.parametrize("iteration", [2, 4])
def test_without_a_score_a_run_is_lost_by_its_data(iteration: int) -> None:
    found = result_of(4, report(iteration, math.nan), None)
    assert (found.outcome, found.fault) == ("lost", "data")
    assert "has the val split labelled pixels?" in found.cause


def test_the_score_of_a_result_is_its_last() -> None:
    assert RunResult("completed", report(4, 0.5)).score == score(0.5)
    with pytest.raises(ValueError, match="without a report"):
        _ = RunResult("lost").score
