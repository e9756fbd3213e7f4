"""A trial is a setting, a run is a setting and a seed: one trial may have several runs."""

from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from afdcd.search.load import read_space
from afdcd.search.rows import RunKey
from afdcd.search.study import Study
from tests.search.studies import (
    METHODS,
    completed,
    lost,
    opened,
    pause,
    report,
    run_to_the_end,
    space_of,
)

FIRST = {"training.lr": 0.25, "distiller": "none"}
SECOND = {**FIRST, "training.seed": 1}


def runs(study: Study) -> list[tuple[str, str | None, float | None]]:
    return [(str(e.run), e.outcome, e.value) for e in study.entries()]


def test_a_further_seed_is_a_run_of_its_own_below_the_trial(tmp_path: Path) -> None:
    study = opened(tmp_path)
    first = run_to_the_end(study, 0.5)
    study.repeat(0, seed=7)
    again = run_to_the_end(study, 0.4)
    assert again.config == first.config.updated(training=first.config.training.updated(seed=7))
    assert again.identity != first.identity
    assert (again.name, again.repeats) == ("trial-0000-seed-7", "trial-0000")
    assert again.title == first.title.replace("trial 0", "trial 0 seed 7")
    assert Path(again.folder) == Path(first.folder) / "seed-7"
    assert runs(study) == [("0", "completed", 0.5), ("0 seed 7", "completed", 0.4)]


def test_a_file_asks_for_a_second_seed_which_costs_no_trial(tmp_path: Path) -> None:
    study = opened(tmp_path, references=(SECOND,), trials=2)
    jobs = [run_to_the_end(study, value) for value in (0.3, 0.2, 0.1)]
    assert [job.name for job in jobs] == ["trial-0000", "trial-0000-seed-1", "trial-0002"]
    assert [job.config.training.seed for job in jobs] == [0, 1, 0]
    assert [job.config.training.lr for job in jobs[:2]] == [0.25, 0.25]
    assert study.next() is None
    assert (study.counted(), study.finished(), study.wanted()) == (2, 3, 3)
    assert [e.run for e in study.best(9)] == [RunKey(0), RunKey(2)]


def test_it_is_asked_for_once_over_all_drivers(tmp_path: Path) -> None:
    asked = (FIRST, SECOND)
    study = opened(tmp_path, references=asked)
    assert study.wanted() == 7
    run_to_the_end(study, 0.3)
    study.next()  # and the driver dies
    study = opened(tmp_path, references=asked)
    assert run_to_the_end(study, 0.2).name == "trial-0000-seed-1"
    study = opened(tmp_path, references=asked)
    assert study.next().name == "trial-0002"
    assert runs(study)[:2] == [("0", "completed", 0.3), ("0 seed 1", "completed", 0.2)]


def test_it_is_never_paused_and_no_trial_is_compared_with_it(tmp_path: Path) -> None:
    study = opened(tmp_path, trials=4)
    run_to_the_end(study, 0.5)
    study.repeat(0, seed=1)
    run_to_the_end(study, 0.1)  # below its trial at every rung
    assert runs(study)[1] == ("0 seed 1", "completed", 0.1)
    study.repeat(0, seed=2)
    run_to_the_end(study, 0.9)
    other = study.next()
    assert study.report(other, report(10, 0.6)) is False  # best of two trials


def test_a_paused_trial_may_be_repeated_too(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.5)
    paused = pause(study, 0.1)
    study.repeat(1, seed=3)
    assert run_to_the_end(study, 0.4).repeats == paused.name


def test_a_lost_second_seed_goes_on_under_its_name(tmp_path: Path) -> None:
    study = opened(tmp_path, references=(FIRST, SECOND))
    run_to_the_end(study, 0.3)
    again = study.next()
    study.report(again, report(10, 0.2))
    study.end(again, lost())
    going_on = study.next()
    assert (going_on.name, going_on.identity) == (again.name, again.identity)
    study.end(going_on, completed(0.25))
    assert runs(study)[1] == ("0 seed 1", "completed", 0.25)


def test_a_space_that_grew_keeps_its_seeds_and_what_waits(tmp_path: Path) -> None:
    study = opened(tmp_path, references=(FIRST, SECOND))
    run_to_the_end(study, 0.3)
    third = {**FIRST, "training.seed": 2}
    opened(tmp_path, references=(FIRST, SECOND, third))
    wider = space_of(distiller={"choice": [*METHODS["choice"], {"method": "mgd"}]})
    study = opened(tmp_path, wider, references=(FIRST, SECOND, third))
    names = [run_to_the_end(study, 0.2).name for _ in range(2)]
    assert names == ["trial-0000-seed-1", "trial-0000-seed-2"]
    assert [run for run, _, _ in runs(study)] == ["0", "0 seed 1", "0 seed 2"]


def test_what_waits_is_not_run_as_something_else(tmp_path: Path) -> None:
    asked = {"training.lr": 0.25, "distiller": "kd"}
    opened(tmp_path, references=(asked,))
    narrower = space_of(distiller={"choice": [{"method": "none"}, {"method": "mgd"}]})
    study = opened(tmp_path, narrower)
    assert study.next().config.training.lr != 0.25
    row = study.everything()[0]
    assert (row.state, row.cause) == (TrialState.FAIL, "not in the present search space")


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("{training: {lr: 0.02, seed: 4}}", {"training.lr": 0.02, "training.seed": 4}),
        ("{training: {lr: 0.02, seed: 3}}", {"training.lr": 0.02}),  # the study's own
    ],
)
def test_seed_of_a_setting_in_a_file(tmp_path: Path, block: str, found: dict[str, Any]) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "data: {dataset: synthetic, root: x, protocol: dev, crop: [64, 64]}\n"
        "pair: {student: {head: pspnet, encoder: 'timm:lcnet_050'}}\n"
        "training: {lr: {log: [0.01, 0.1]}, iterations: 8, validate_every: 4, batch: 4, seed: 3}\n"
        f"study: {{enqueue: [{block}]}}\n"
    )
    assert read_space(str(file), []).references() == [found]
