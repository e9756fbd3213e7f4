"""A space that grows: what was run counts where it lies in the new one."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from tests.search.studies import METHODS, completed, opened, pause, run_to_the_end, space_of

WIDER = {"uniform": [0.01, 2.0]}
MORE = {"choice": [{"method": "none"}, {"method": "kd"}, {"method": "mgd"}]}


def test_an_added_choice_and_a_wider_range_go_on_with_the_same_study(tmp_path: Path) -> None:
    study = opened(tmp_path)
    before = [run_to_the_end(study, value) for value in (0.3, 0.5)]
    grown = opened(tmp_path, space_of(WIDER, MORE), trials=12)
    assert [entry.identity for entry in grown.entries()] == [job.identity for job in before]
    assert grown.best()[0].value == 0.5
    jobs = [run_to_the_end(grown, 0.1) for _ in range(10)]
    assert grown.next() is None  # the two from before count
    assert "mgd" in {job.config.distiller.method for job in jobs}
    again = opened(tmp_path, space_of(WIDER, MORE), trials=13)
    assert run_to_the_end(again, 0.9).name == "trial-0012"


def test_the_order_of_options_makes_no_other_study(tmp_path: Path) -> None:
    run_to_the_end(opened(tmp_path), 0.3)
    turned = space_of(distiller={"choice": [{"method": "kd"}, {"method": "none"}]})
    study = opened(tmp_path, turned)
    run_to_the_end(study, 0.4)
    names = {name for row in study.study.get_trials() for name in row.params}
    assert names == {"training.lr", "distiller"}


def test_an_added_option_has_a_parameter_of_its_own_and_its_path_stays(tmp_path: Path) -> None:
    run_to_the_end(opened(tmp_path), 0.3)
    study = opened(tmp_path, space_of(distiller=MORE))
    run_to_the_end(study, 0.4)
    assert "distiller#2" in study.study.get_trials()[1].params
    assert [set(entry.searched) for entry in study.entries()] == [{"training.lr", "distiller"}] * 2


def test_a_written_default_makes_no_other_study(tmp_path: Path) -> None:
    run_to_the_end(opened(tmp_path), 0.3)
    study = opened(tmp_path, space_of(training__momentum=0.9))
    assert study.best()[0].value == 0.3


def test_a_preset_is_what_it_says(tmp_path: Path) -> None:
    """It is no key of a setting, and two blocks may differ in nothing else."""
    presets = [{"method": "afdcd", "preset": name} for name in ("code-defaults", "supplement")]
    space = space_of(distiller={"choice": [{"method": "none"}, *presets]}, lr=0.5)
    study = opened(tmp_path, space)
    jobs = [run_to_the_end(study, value) for value in (0.1, 0.2, 0.3)]
    assert len({job.identity for job in jobs}) == 3
    grown = opened(tmp_path, space_of(distiller={"choice": presets}, lr=0.5))
    assert len(grown.entries()) == 2
    assert grown.outside() == 1


def test_a_fixed_value_that_becomes_a_range_keeps_what_lies_in_it(tmp_path: Path) -> None:
    run_to_the_end(opened(tmp_path, space_of(lr=0.5)), 0.3)
    run_to_the_end(opened(tmp_path, space_of(lr={"uniform": [0.4, 0.6]})), 0.4)
    study = opened(tmp_path, space_of(lr={"uniform": [0.4, 0.6]}))
    assert sorted(entry.value for entry in study.entries()) == [0.3, 0.4]


def test_runs_outside_do_not_count_and_are_told(tmp_path: Path) -> None:
    study = opened(tmp_path, space_of(lr={"choice": [0.1, 0.2, 0.3]}, distiller={"method": "none"}))
    while job := study.next():
        study.end(job, completed(job.config.training.lr))
    fewer = opened(tmp_path, space_of(lr={"choice": [0.1, 0.2, 0.4]}, distiller={"method": "none"}))
    assert fewer.outside() == 1
    assert fewer.best()[0].value == 0.2
    assert fewer.next().config.training.lr == 0.4


def test_a_space_that_holds_nothing_of_what_was_run_is_refused(tmp_path: Path) -> None:
    run_to_the_end(opened(tmp_path), 0.3)
    with pytest.raises(UserError, match=r"s\.yaml: none of the 1 runs .* study\.name="):
        opened(tmp_path, space_of(lr={"uniform": [3.0, 4.0]}))


def test_a_begun_run_outside_the_space_is_not_taken_up(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_to_the_end(study, 0.3)
    job = study.next()
    keep = run_to_the_end(study, 0.2).config.training.lr
    space = space_of(lr={"choice": [keep, 5.0]}, distiller=METHODS)
    study = opened(tmp_path, space)
    assert study.next().name not in (job.name, "trial-0000")
    assert study.everything()[1].cause == "not in the present search space"


def test_a_reference_is_known_by_what_it_computes_and_not_by_what_was_searched(
    tmp_path: Path,
) -> None:
    """A value that was fixed is a range now; the paused run of this setting goes on."""
    paused = pause(opened(tmp_path), 0.1)
    wider = space_of(training__weight_decay={"choice": [1e-4, 1e-3]})
    asked = {
        "training.lr": paused.config.training.lr,
        "training.weight_decay": 1e-4,
        "distiller": paused.config.distiller.method,
    }
    again = opened(tmp_path, wider, references=(asked,)).next()
    assert (again.name, again.identity) == (paused.name, paused.identity)
