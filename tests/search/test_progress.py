"""The lines a person reads while a study runs, and the table at its end."""

import math

import optuna
import pytest
from optuna.trial import TrialState

from afdcd.search import progress
from afdcd.search.progress import Progress, Rendering, percent, trials_table
from afdcd.search.study import CAUSE
from afdcd.training.job import RunResult
from tests.examples import job

REPORT = {"iteration": 2, "miou": 0.25, "seconds": 1800.0, "devices": 2, "device": "cuda"}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.partition("] ")[2] for line in capsys.readouterr().out.splitlines()]


def test_report_shows_trial_score_best_and_hours(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress((0.3, "trial 9"))
    progress.reported(job("a"), REPORT)
    progress.reported(job("a"), {**REPORT, "iteration": 4, "miou": 0.4, "seconds": 3600.0})
    progress.reported(job("b"), REPORT)
    assert lines(capsys) == [
        "a afdcd  iteration 2/4  mIoU 25.00 %  best 30.00 % (trial 9)  1.000 GPU-hours",
        "a afdcd  iteration 4/4  mIoU 40.00 %  best 40.00 % (a afdcd)  2.000 GPU-hours",
        "b afdcd  iteration 2/4  mIoU 25.00 %  best 40.00 % (a afdcd)  3.000 GPU-hours",
    ]


def test_early_value_is_never_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    Progress((0.3, "trial 9")).reported(job("a"), {**REPORT, "miou": 0.9})
    assert "best 30.00 % (trial 9)" in lines(capsys)[0]


def test_end_is_told_with_its_cause_unless_all_went_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = Progress()
    progress.ended(job("a"), RunResult("completed", {}))
    progress.reported(job("a"), {"failed": "x", "iteration": 0})
    progress.ended(job("a"), RunResult("failed", {}, "no memory"))
    assert lines(capsys) == ["a afdcd failed: no memory"]


def test_share_in_per_cent() -> None:
    assert [percent(value) for value in (0.12345, 0.0, None, math.nan)] == [
        "12.35 %",
        "0.00 %",
        "-",
        "-",
    ]


def test_table_ranks_full_length_trials_before_early_values() -> None:
    study = optuna.create_study(direction="maximize")

    def add(state: TrialState, value: float | None, last: float, **attrs: str) -> None:
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=value,
                params={"lr": 0.123456},
                distributions={"lr": optuna.distributions.FloatDistribution(0, 1)},
                intermediate_values={10: last},
                user_attrs=attrs,
            )
        )

    add(TrialState.PRUNED, 0.9, 0.9)
    add(TrialState.COMPLETE, 0.4, 0.4)
    add(TrialState.COMPLETE, 0.5, 0.5)
    add(TrialState.FAIL, None, 0.1, **{CAUSE: "diverged"})
    rows = [line.split() for line in trials_table(study.trials).splitlines()]
    assert [row[0] for row in rows] == ["trial", "2", "1", "0", "3"]
    assert rows[1] == ["2", "50.00", "%", "complete", "10", "lr=0.123"]
    assert rows[4] == ["3", "10.00", "%", "fail", "10", "diverged"]


def test_rendering_is_announced_and_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    rendering = Rendering()
    rendering.begin(30, 0)
    for second in range(1, 16):  # two scenes a second
        now[0] = float(second)
        rendering(2, 1000)
    assert lines(capsys) == [
        "renders 30 street scenes",
        "12 of 30 street scenes are rendered",
        "24 of 30 street scenes are rendered",
    ]
