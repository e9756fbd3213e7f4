"""The study fed by hand: what is asked, stopped, told, and what a new driver finds."""

import math
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from afdcd.config import Source, UserError
from afdcd.search.config import StudyConfig
from afdcd.search.space import parse_ranges
from afdcd.search.study import CAUSE, Study, open_study
from afdcd.yaml_text import parse_yaml

VALUES, SOURCE = parse_yaml("lr: {uniform: [0.0, 1.0]}\nmethod: {choice: [none, kd]}\n", "s.yaml")
SPACE = parse_ranges(VALUES, SOURCE)
REFERENCES = ({"lr": 0.25, "method": "none"}, {"lr": 0.75, "method": "kd"})


def opened(folder: Path, identity: str = "same", **config: Any) -> Study:
    """The study of `folder`, as a new driver would open it."""
    settings = StudyConfig(**{"trials": 6, "reduction": 2, **config})
    url = f"sqlite:///{folder}/study.db"
    return open_study(url, "s", settings, SPACE, identity, SOURCE, grace=10)


def run_to_the_end(study: Study, value: float) -> int:
    proposal = study.next()
    assert proposal is not None
    study.report(proposal.number, 20, value, last=True)
    study.complete(proposal.number, value)
    return proposal.number


def test_references_come_first_and_only_once_over_all_drivers(tmp_path: Path) -> None:
    study = opened(tmp_path, enqueue=REFERENCES)
    assert study.next().values == REFERENCES[0]
    study = opened(tmp_path, enqueue=REFERENCES)
    resumed = study.next()
    assert (resumed.values, resumed.resumed) == (REFERENCES[0], True)
    study.complete(resumed.number, 0.5)
    assert study.next().values == REFERENCES[1]
    study = opened(tmp_path, enqueue=REFERENCES)
    assert len(study.study.get_trials()) == 2


def test_running_trials_are_resumed_first_with_their_parameters(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.5)
    lost = [study.next() for _ in range(2)]
    study = opened(tmp_path)
    again = [study.next() for _ in range(3)]
    assert [p.number for p in again] == [1, 2, 3]
    assert [p.resumed for p in again] == [True, True, False]
    assert [p.values for p in again[:2]] == [p.values for p in lost]
    study.complete(1, 0.7)
    assert study.frozen(1).state == TrialState.COMPLETE


def test_resumed_trial_keeps_its_values_and_reports_each_iteration_once(tmp_path: Path) -> None:
    study = opened(tmp_path)
    number = study.next().number
    study.report(number, 10, 0.3, last=False)
    study = opened(tmp_path)
    assert study.next().number == number
    study.report(number, 10, 0.9, last=False)
    study.report(number, 20, 0.4, last=True)
    assert study.frozen(number).intermediate_values == {10: 0.3, 20: 0.4}


def test_number_of_trials_counts_all_that_started_and_can_be_raised(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=2)
    study.fail(study.next().number, "it broke")
    run_to_the_end(study, 0.1)
    assert study.next() is None
    study = opened(tmp_path, trials=3)
    assert study.next().number == 2
    assert study.next() is None


def test_worse_half_is_stopped_and_told_as_pruned_with_its_values(tmp_path: Path) -> None:
    study = opened(tmp_path)
    for value in (0.6, 0.7):
        number = study.next().number
        study.report(number, 10, value, last=False)
        study.report(number, 20, value, last=True)
        study.complete(number, value)
    bad = study.next().number
    assert study.report(bad, 5, 0.0, last=False) is False  # before its grace
    assert study.report(bad, 10, 0.1, last=False) is True
    study.prune(bad)
    trial = study.frozen(bad)
    assert trial.state == TrialState.PRUNED
    assert trial.intermediate_values == {5: 0.0, 10: 0.1}


def test_rungs_survive_a_new_driver(tmp_path: Path) -> None:
    study = opened(tmp_path)
    for value in (0.6, 0.7):
        number = study.next().number
        study.report(number, 10, value, last=False)
        study.complete(number, value)
    study = opened(tmp_path)
    assert study.report(study.next().number, 10, 0.1, last=False) is True


def test_last_value_never_stops_a_trial(tmp_path: Path) -> None:
    study = opened(tmp_path)
    for value in (0.6, 0.7):
        number = study.next().number
        study.report(number, 10, value, last=True)
        study.complete(number, value)
    assert study.report(study.next().number, 10, 0.1, last=True) is False


def test_references_are_never_stopped(tmp_path: Path) -> None:
    study = opened(tmp_path, enqueue=REFERENCES[:1])
    reference = study.next().number
    for value in (0.6, 0.7, 0.8):
        number = study.next().number
        study.report(number, 10, value, last=False)
        study.complete(number, value)
    assert study.report(reference, 10, 0.01, last=False) is False


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_value_that_is_no_number_stops_and_is_not_recorded(tmp_path: Path, value: float) -> None:
    study = opened(tmp_path)
    number = study.next().number
    assert study.report(number, 10, value, last=False) is True
    assert study.report(number, 20, value, last=True) is True
    assert study.frozen(number).intermediate_values == {}


def test_full_length_value_that_is_no_number_fails_the_trial(tmp_path: Path) -> None:
    study = opened(tmp_path)
    number = study.next().number
    study.complete(number, math.nan)
    assert study.frozen(number).state == TrialState.FAIL
    assert "nan" in study.frozen(number).user_attrs[CAUSE]


def test_failed_trial_keeps_its_cause(tmp_path: Path) -> None:
    study = opened(tmp_path)
    study.fail(study.next().number, "loss term kd is not finite")
    (trial,) = study.trials_so_far()
    assert (trial.state, trial.user_attrs[CAUSE]) == (TrialState.FAIL, "loss term kd is not finite")


def test_best_are_full_length_trials_only(tmp_path: Path) -> None:
    study = opened(tmp_path)
    for value in (0.3, 0.5, 0.4):
        run_to_the_end(study, value)
    early = study.next().number
    study.report(early, 10, 0.99, last=False)
    study.prune(early)
    study.fail(study.next().number, "x")
    study.next()
    assert [trial.value for trial in study.best(2)] == [0.5, 0.4]
    assert study.values_of(study.best()[0]).keys() == {"lr", "method"}


def test_other_space_under_the_same_name_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, identity="one")
    with pytest.raises(UserError, match="study 's' exists with another search space"):
        opened(tmp_path, identity="two")


def test_new_driver_does_not_repeat_the_first_draws(tmp_path: Path) -> None:
    first = opened(tmp_path)
    drawn = []
    for _ in range(3):
        proposal = first.next()
        drawn.append(proposal.values["lr"])
        first.complete(proposal.number, 0.1)
    assert opened(tmp_path).next().values["lr"] not in drawn


def test_same_seed_proposes_the_same_trials(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    a, b = opened(tmp_path / "a"), opened(tmp_path / "b")
    assert [a.next().values for _ in range(3)] == [b.next().values for _ in range(3)]


def test_reference_outside_the_space_is_refused_before_the_database_is_touched(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match=r"study\.enqueue\.0\.lr: 2\.0 is outside"):
        opened(tmp_path, enqueue=({"lr": 2.0},))
    assert not (tmp_path / "study.db").exists()


@pytest.mark.parametrize(
    "url", ["sqlite:////no/such/folder/study.db", "nosuch://user:secret@host/db", "nonsense"]
)
def test_unusable_database_is_one_line_without_password(url: str) -> None:
    with pytest.raises(UserError, match="AFDCD_STUDY_DB") as error:
        open_study(url, "s", StudyConfig(), SPACE, "i", Source(), grace=1)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_no_settings_are_paid_for_twice(tmp_path: Path) -> None:
    values, source = parse_yaml("method: {choice: [none, kd, fd]}\n", "s.yaml")
    space = parse_ranges(values, source)
    url = f"sqlite:///{tmp_path}/study.db"
    study = open_study(url, "s", StudyConfig(trials=9), space, "same", source, grace=10)
    methods = []
    while proposal := study.next():
        methods.append(proposal.values["method"])
        if len(methods) == 1:
            study.prune(proposal.number)
        elif len(methods) == 2:
            study.complete(proposal.number, 0.5)
    assert sorted(methods) == ["fd", "kd", "none"]  # then the space is exhausted
    assert len(study.trials_so_far()) == 3
    assert [trial.value for trial in study.best(9)] == [0.5]
