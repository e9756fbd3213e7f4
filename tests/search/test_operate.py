"""What a person asks of a study from another terminal, and what its driver makes of it."""

import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from afdcd.config import UserError
from afdcd.search import ledger, operate, wishes
from afdcd.search.config import BudgetConfig
from afdcd.search.explain import explain
from afdcd.search.kept import Kept, kept_study
from afdcd.search.lease import hold
from afdcd.search.records import CHOSEN
from afdcd.search.study import Study
from tests.examples import trial_values
from tests.search.drivers import another_driver
from tests.search.studies import LENGTH, LR, METHODS, opened, pause, report, run_to_the_end


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/study.db"
    monkeypatch.setenv("AFDCD_STUDY_DB", url)
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    return url


def begun(folder: Path, **rules: Any) -> Study:
    """A study as its driver opened it."""
    study = opened(folder, **rules)
    values = trial_values(**{"training__iterations": LENGTH, "training__validate_every": 10})
    values["training"]["lr"], values["distiller"] = LR, METHODS
    wishes.introduce(study.study, values, study.rules.trials)
    return study


def kept() -> Kept:
    return kept_study("s")


def test_status_says_who_drives_it_how_far_it_is_and_what_runs(
    database: str, tmp_path: Path
) -> None:
    study = begun(tmp_path)
    run_to_the_end(study, 0.5)
    pause(study, 0.1)
    running = study.next()
    study.report(running, report(10, 0.4))
    operate.enqueue(kept(), "{distiller: {method: none}, training: {lr: 0.5}}")
    with another_driver(database, "study s") as name:
        lines = operate.status(kept())
    assert lines[0].startswith(f"study s ({study.id}): driven by ")
    assert name.replace("\\", "").replace(".*", "") in lines[0]
    assert lines[1] == "runs: 1 completed, 1 paused, 1 running; 1 queued"
    assert lines[2] == "best: mIoU 50.00 % (trial 0)"
    assert lines[3].startswith("cost: ")
    assert lines[4].startswith(f"trial 2 {running.config.distiller.method} ")
    assert "no driver; `afdcd tune` goes on with it" in operate.status(kept())[0]


def test_status_names_the_trial_that_was_chosen_as_explain_does(
    database: str, tmp_path: Path
) -> None:
    study = begun(tmp_path)
    run_to_the_end(study, 0.5)
    run_to_the_end(study, 0.6)
    assert operate.status(kept())[2] == "best: mIoU 60.00 % (trial 1)"
    study.study.set_user_attr(CHOSEN, [0, 1])  # as a model may: the highest score can be luck
    assert operate.status(kept())[2] == "chosen: mIoU 50.00 % (trial 0)"
    assert explain(kept())[1].startswith("chosen: trial 0, ")


def test_more_trials_are_run_without_a_new_driver(database: str, tmp_path: Path) -> None:
    study = begun(tmp_path, trials=1)
    run_to_the_end(study, 0.5)
    assert study.next() is None
    assert not study.stirred()
    assert operate.extend(kept(), 2).startswith("study s: 3 trials in all; ")
    assert study.stirred()
    for _ in range(2):
        run_to_the_end(study, 0.5)
    assert study.next() is None
    assert operate.extend(kept(), 1).startswith("study s: 4 trials in all; ")
    assert opened(tmp_path, trials=1).trials() == 4
    assert opened(tmp_path, trials=9).trials() == 9
    with pytest.raises(UserError, match="0: give the number of trials to add"):
        operate.extend(kept(), 0)


def test_a_budget_is_raised_by_what_is_given(database: str, tmp_path: Path) -> None:
    study = begun(tmp_path)
    limits = BudgetConfig(device_hours=2.0, wall_clock=1.0)
    wishes.introduce(study.study, {}, 6, limits)
    told = operate.extend(kept(), device_hours=3.0)
    assert told.startswith("study s: study.budget.device_hours 5; ")
    assert wishes.budget_of(study.study, limits).device_hours == 5.0
    told = operate.extend(kept(), 2, device_hours=1.0, wall_clock=0.5)
    assert told.startswith(
        "study s: 8 trials in all, study.budget.device_hours 6, study.budget.wall_clock 1.5; "
    )
    assert wishes.budget_of(study.study, BudgetConfig(device_hours=9.0)) == BudgetConfig(
        device_hours=9.0
    )
    for wrong in (-1.0, 0.0, math.nan, math.inf):
        with pytest.raises(UserError, match=r": give what to add to study.budget.device_hours"):
            operate.extend(kept(), device_hours=wrong)
    wishes.introduce(study.study, {}, 6)
    with pytest.raises(UserError, match=r"has no study.budget.wall_clock, so nothing is to be"):
        operate.extend(kept(), wall_clock=1.0)


def test_status_tells_all_that_was_spent(database: str, tmp_path: Path) -> None:
    study = begun(tmp_path)
    ledger.note_other(study.study, "teacher-a", 1.25)
    study.study.set_user_attr(ledger.WORKED, {"1": 0.5, "2": 1.0})
    assert operate.status(kept())[2] == "cost: 1.250 device-hours, 1:30:00 of the clock"
    wishes.introduce(study.study, {}, 6, BudgetConfig(device_hours=5.0, wall_clock=10.0))
    told = operate.status(kept())[2]
    assert told == "cost: 1.250 of 5 device-hours, 1:30:00 of the clock of 10:00:00"


def test_a_setting_is_queued_and_run_at_full_length(database: str, tmp_path: Path) -> None:
    study = begun(tmp_path, trials=1)
    run_to_the_end(study, 0.9)
    told = operate.enqueue(kept(), "{distiller: {method: kd}, training: {lr: 0.25}}")
    assert told == ("study s: queued distiller=kd, training.lr=0.25; `afdcd tune` goes on with it")
    job = run_to_the_end(study, 0.1)
    assert (job.config.distiller.method, job.config.training.lr) == ("kd", 0.25)
    assert study.entries()[-1].outcome == "completed"


def test_a_second_seed_is_queued_with_the_trial_it_belongs_to(
    database: str, tmp_path: Path
) -> None:
    study = begun(tmp_path, trials=1)
    operate.enqueue(kept(), "{distiller: {method: none}, training: {lr: 0.25, seed: 3}}")
    operate.enqueue(kept(), "{distiller: {method: none}, training: {lr: 0.25, seed: 4}}")
    names = [run_to_the_end(study, 0.5).name for _ in range(3)]
    assert names == ["trial-0000", "trial-0000-seed-3", "trial-0000-seed-4"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("{training: {lr: 7}}", r"SETTING:1: training.lr: 7 is outside uniform \[0.01, 1.0\]"),
        ("{distiller: {method: x}}", "SETTING:1: distiller: .* is not one of"),
        ("3", "SETTING: "),
        ("{training: ", "SETTING:"),
    ],
)
def test_a_setting_that_the_study_does_not_have_is_refused_at_once(
    database: str, tmp_path: Path, setting: str, words: str
) -> None:
    begun(tmp_path)
    with pytest.raises(UserError, match=words) as refused:
        operate.enqueue(kept(), setting)
    assert "\n" not in str(refused.value)


def test_a_study_that_was_never_started_cannot_be_steered(database: str, tmp_path: Path) -> None:
    opened(tmp_path)
    with pytest.raises(UserError, match="its search space is not known yet"):
        operate.enqueue(kept(), yaml.safe_dump({"training": {"lr": 0.5}}))


def test_stop_waits_until_the_driver_has_ended(database: str, tmp_path: Path) -> None:
    study = begun(tmp_path)
    assert "no driver runs it" in operate.stop(kept())
    told: list[str] = []

    def drive() -> None:
        with hold(database, "study s"):
            asked = wishes.any_of(lambda: "", lambda: wishes.stop_wanted(study.study))
            while not (by := asked()):
                time.sleep(0.02)
            told.append(by)

    driver = threading.Thread(target=drive)
    driver.start()
    while operate.driver_of("s") is None:
        time.sleep(0.02)
    assert operate.stop(kept()) == "study s: stopped; `afdcd tune` goes on with it"
    driver.join()
    assert told[0].endswith("(afdcd study stop)")
    assert wishes.stop_wanted(study.study) == ""  # told once


def test_a_driver_that_does_not_answer_is_named(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(tmp_path)
    monkeypatch.setattr(operate, "PATIENCE", 0.1)
    with (
        another_driver(database, "study s") as name,
        pytest.raises(UserError, match=f"asked {name} since .*has not stopped"),
    ):
        operate.stop(kept())
