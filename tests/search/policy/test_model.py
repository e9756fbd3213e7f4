"""Which trial is chosen in the end."""

from pathlib import Path

import numpy as np
import pytest

from afdcd.search.policy.model import fitted_at
from afdcd.search.policy.tried import tamed
from afdcd.search.study import Study
from tests.search.policy.test_samplers import BOTH, PUBLISHED, SPACE
from tests.search.studies import opened, run_to_the_end


def ran(study: Study, setting: dict[str, object], value: float) -> None:
    from afdcd.search.book import waiting

    study.ask_for(waiting(setting, {"extra": True}))
    run_to_the_end(study, value)


def like(**changes: object) -> dict[str, object]:
    return {**PUBLISHED, **{name.replace("__", "."): value for name, value in changes.items()}}


def begun(folder: Path) -> Study:
    study = opened(folder, SPACE, BOTH, trials=3)
    run_to_the_end(study, 0.70)
    run_to_the_end(study, 0.71)
    return study


def test_a_lucky_score_does_not_beat_the_published_setting(tmp_path: Path) -> None:
    study = begun(tmp_path)
    ran(study, like(distiller__kd__weight=1.05), 0.712)
    assert [e.value for e in study.best(3)] == [0.71, 0.712, 0.70]


def test_a_better_one_does_and_runners_up_follow(tmp_path: Path) -> None:
    study = begun(tmp_path)
    ran(study, like(distiller__kd__weight=6.0), 0.75)
    ran(study, like(distiller__kd__weight=5.0), 0.745)
    assert [e.value for e in study.best(4)] == [0.75, 0.745, 0.71, 0.70]


def test_one_high_score_among_low_neighbours_is_not_believed(tmp_path: Path) -> None:
    study = opened(tmp_path, SPACE, trials=12)
    for weight, value in ((5.0, 0.72), (5.1, 0.70), (5.2, 0.70), (4.9, 0.70), (0.2, 0.715)):
        ran(study, like(distiller__kd__weight=weight), value)
    assert study.best()[0].value == 0.715


def test_further_seeds_are_observations_of_the_same_setting(tmp_path: Path) -> None:
    study = begun(tmp_path)
    ran(study, like(distiller__kd__weight=9.0), 0.74)
    assert study.best()[0].value == 0.74
    for seed in (1, 2, 3):
        study.repeat(2, seed)
        run_to_the_end(study, 0.69)
    assert study.best()[0].value == 0.71


def test_another_published_setting_needs_a_margin_as_well(tmp_path: Path) -> None:
    """Two references, of which the first is the better one; a search beside the second lifts it by luck."""
    study = opened(tmp_path, SPACE, BOTH, trials=8)
    run_to_the_end(study, 0.712)
    run_to_the_end(study, 0.71)
    assert study.best()[0].value == 0.712
    for change in (1.02, 1.04, 1.06):
        ran(study, like(distiller__kd__weight=change), 0.713)
    assert study.best()[0].value == 0.712


def test_other_samplers_take_the_highest_score(tmp_path: Path) -> None:
    study = opened(tmp_path, SPACE, BOTH, trials=3, sampler="random")
    run_to_the_end(study, 0.70)
    run_to_the_end(study, 0.71)
    ran(study, like(distiller__kd__weight=1.05), 0.712)
    assert study.best()[0].value == 0.712


def test_nothing_is_best_where_nothing_ended(tmp_path: Path) -> None:
    assert opened(tmp_path, SPACE, BOTH).best(3) == []


def test_one_ruined_run_does_not_make_the_others_alike() -> None:
    sound, _ = tamed(np.array([0.70, 0.71, 0.72]))
    ruined, _ = tamed(np.array([0.70, 0.71, 0.72, 0.02]))
    assert ruined[2] - ruined[0] > 0.5 * (sound[2] - sound[0])
    assert ruined[3] == ruined.min()


@pytest.mark.parametrize(("count", "at"), [(0, 0), (3, 3), (7, 7), (15, 14), (5000, 4597)])
def test_parameters_are_fitted_again_with_15_percent_more(count: int, at: int) -> None:
    assert fitted_at(count) == at
    assert all(fitted_at(n) <= n <= 1.16 * fitted_at(n) + 1 for n in range(4, 5001))
