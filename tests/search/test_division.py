"""How runs are divided among the values of a choice: equal shares, turns, and what is refused."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afdcd.config import Source, UserError
from afdcd.search.check_study import check_study
from afdcd.search.division import Division, division_of, narrowed, settings_in
from afdcd.search.load import SearchSpace, read_space
from afdcd.search.study import Study
from tests.search.studies import opened, run_to_the_end, space_of

KD = {"method": "kd", "weight": {"log": [0.1, 10.0]}}
MGD = {"method": "mgd", "fd_weight": {"log": [1e-6, 1e-4]}, "mask_ratio": {"uniform": [0.3, 0.9]}}
METHODS = {"choice": [{"method": "none"}, KD, MGD]}
SPACE = space_of(lr=0.1, distiller=METHODS)
BY_METHOD = division_of(SPACE, "distiller.method", Source())
FILE = """\
data: {dataset: synthetic, root: data, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher: {weights: ok.safetensors}
distiller:
  choice:
    - {method: none}
    - {method: kd, weight: {log: [0.1, 10.0]}}
    - {method: mgd, fd_weight: {log: [1e-6, 1e-4]}}
training: {iterations: 12, validate_every: 4, batch: 4}
study:
  trials: 9
  budget_per: distiller.method
  enqueue:
    - {distiller: {method: none}}
    - {distiller: {method: kd, weight: 1.0}}
    - {distiller: {method: kd, weight: 0.5}}
"""


def read(folder: Path, *overrides: str) -> SearchSpace:
    file = folder / "arena.yaml"
    file.write_text(FILE)
    return read_space(str(file), list(overrides))


def reference(method: str, **values: float) -> dict[str, Any]:
    return {"distiller": method, **{f"distiller.{method}.{k}": v for k, v in values.items()}}


PUBLISHED = (
    reference("none"),
    reference("kd", weight=1.0),
    reference("mgd", fd_weight=2e-5, mask_ratio=0.75),
)


def divided(
    folder: Path, references: tuple[dict[str, Any], ...] = PUBLISHED, **rules: Any
) -> Study:
    """A study of three methods, ready to run its published settings first."""
    given = {"trials": 9, "rungs": (), "division": BY_METHOD, **rules}
    return opened(folder, SPACE, references, **given)


def test_a_choice_of_blocks_is_known_by_the_key_that_tells_them_apart() -> None:
    assert (BY_METHOD.key, BY_METHOD.path) == ("distiller.method", "distiller")
    assert BY_METHOD.sizes == {"none": 1, "kd": math.inf, "mgd": math.inf}


def test_a_choice_of_plain_values_is_known_by_its_own_key() -> None:
    space = space_of(lr={"choice": [0.1, 0.2]}, distiller={"method": {"choice": ["none", "kd"]}})
    by_rate = division_of(space, "training.lr", Source())
    assert (by_rate.path, by_rate.sizes) == ("training.lr", {0.1: 2, 0.2: 2})
    assert division_of(space, "distiller.method", Source()).path == "distiller.method"


def test_settings_are_counted() -> None:
    steps = {"int": [2, 8], "step": 2}
    options = {"choice": [{"method": "none"}, {"method": "kd", "weight": {"choice": [1.0, 2.0]}}]}
    space = space_of(lr=0.1, distiller=options, training__batch=steps)
    assert settings_in(space) == 12
    assert settings_in(narrowed(space, "distiller", "none")) == 4


def test_shares_are_equal_and_what_few_settings_leave_goes_to_the_others() -> None:
    assert BY_METHOD.shares(9) == {"none": 1, "kd": 4, "mgd": 4}
    assert Division("k", "k", {"a": 2, "b": math.inf, "c": 1, "d": math.inf}).shares(13) == {
        "a": 2,
        "b": 5,
        "c": 1,
        "d": 5,
    }


def test_a_further_seed_is_paid_by_its_own_value(tmp_path: Path) -> None:
    study = divided(tmp_path)
    for _ in PUBLISHED:
        run_to_the_end(study, 0.5)
    none, kd, mgd = study.entries()
    further = replace(mgd, repeats=kd.first, seed=1, further=True, setting=kd.setting)
    assert BY_METHOD.received([none, kd, further]) == {"none": 1, "kd": 2, "mgd": 0}


@pytest.mark.parametrize("key", ["distiller", "distiller.kd.weight", "training.lr", "methods"])
def test_a_key_that_is_no_choice_is_refused_with_those_that_are(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, f"study.budget_per={key}")
    assert str(error.value).endswith(
        f"arena.yaml:11: study.budget_per: '{key}' is no choice of this space that every run makes; "
        "write distiller.method, or remove it"
    )


def test_a_space_without_a_choice_says_how_one_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no choice .*write one: \{choice: \[\.\.\.\]\}"):
        division_of(space_of(lr=0.1, distiller={"method": "kd"}), "distiller.method", Source())


def test_a_grid_cannot_be_divided(tmp_path: Path) -> None:
    space = read(tmp_path, "study.sampler=grid")
    with pytest.raises(UserError, match=r"study\.budget_per: study\.sampler: grid .*gp, tpe or"):
        check_study(space)


def test_a_share_pays_for_its_own_references(tmp_path: Path) -> None:
    check_study(read(tmp_path, "study.trials=5"))
    with pytest.raises(UserError, match=r"study\.trials: 4 divided .* gives kd 1\.5 runs, and it"):
        check_study(read(tmp_path, "study.trials=4"))


def test_a_file_that_divides_nothing_has_no_division(tmp_path: Path) -> None:
    assert read(tmp_path).rules().division is not None
    assert read(tmp_path, "study.budget_per=null").rules().division is None


def test_every_value_gets_its_share_in_turns_after_the_references(tmp_path: Path) -> None:
    study = divided(tmp_path)
    order = [run_to_the_end(study, 0.5).config.distiller.method for _ in range(9)]
    assert order == ["none", "kd", "mgd", "kd", "mgd", "kd", "mgd", "kd", "mgd"]
    assert study.next() is None and study.wanted() == 9


def test_what_does_not_divide_is_left_over(tmp_path: Path) -> None:
    study = divided(tmp_path, trials=10)
    assert study.wanted() == 9
    for _ in range(9):
        run_to_the_end(study, 0.5)
    assert study.next() is None


def test_a_study_that_is_extended_goes_on_dividing(tmp_path: Path) -> None:
    study = divided(tmp_path, trials=5)
    for _ in range(5):
        run_to_the_end(study, 0.5)
    assert study.next() is None
    study = divided(tmp_path, trials=9)
    order = [run_to_the_end(study, 0.5).config.distiller.method for _ in range(4)]
    assert order == ["kd", "mgd", "kd", "mgd"]
    assert study.next() is None
