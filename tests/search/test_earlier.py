"""Spaces and settings of an earlier edition, which knew one optimizer and one schedule, still count."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from afdcd.config import Source, UserError, validate
from afdcd.search.earlier import in_present_keys
from afdcd.search.load import read_space, teacher_key
from afdcd.search.membership import parameters_in
from afdcd.training.trial import TrialConfig
from tests.examples import trial
from tests.search.studies import LENGTH, space_of

SPACE = """
data: {dataset: synthetic, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training:
  iterations: 4
  validate_every: 2
  batch: 4
  momentum: {uniform: [0.5, 0.9]}
  poly_power: 1.5
study: {trials: 2, proof: {seeds: 0}, enqueue: [{training: {momentum: 0.7}}]}
"""
BOTH = {"choice": [{"type": "sgd"}, {"type": "adamw"}]}


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "s.yaml").write_text(SPACE)
    return str(tmp_path / "s.yaml")


def test_a_key_of_before_is_searched_under_the_name_that_it_has_now(file: str) -> None:
    space = read_space(file, [])
    assert space.references() == [{"training.optimizer.momentum": 0.7}]
    for example in space.examples:
        assert example.training.schedule.power == 1.5
        assert list(parameters_in(space.space, example.plain()))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("momentum: 2", "s.yaml:8: training.optimizer.momentum: input should be less than 1"),
        ("poly_power: {log: [0, 1]}", "s.yaml:9: training.schedule.power: log"),
        ("poly_power: 1.5\n  optimizer: {type: adamw}", "s.yaml:4: training: momentum is now opt"),
    ],
)
def test_a_mistake_in_it_is_told_with_its_line(file: str, written: str, message: str) -> None:
    key = written.partition(":")[0]
    text = re.sub(f"(?m)^  {key}: .*$", f"  {written}", SPACE)
    Path(file).write_text(text.replace(", enqueue: [{training: {momentum: 0.7}}]", ""))
    with pytest.raises(UserError) as error:
        read_space(file, [])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_is_found_wherever_it_stands() -> None:
    pair = {"choice": [{"teacher": {"train": {"momentum": 0.5}}}]}
    found = in_present_keys({"pair": pair, "momentum": 1}, Source())
    train = {"optimizer": {"type": "sgd", "momentum": 0.5}}
    assert found == {"pair": {"choice": [{"teacher": {"train": train}}]}, "momentum": 1}


def _on_record(**changes: Any) -> dict[str, Any]:
    """A setting as an earlier edition wrote it."""
    config = trial(training__iterations=LENGTH, training__validate_every=10, **changes)
    plain = config.plain()
    plain["training"] = config.training.as_before()
    plain["pair"]["teacher"] = config.pair.teacher.as_before()
    assert {"momentum", "poly_power"} <= plain["training"].keys()
    assert {"momentum", "poly_power"} <= plain["pair"]["teacher"]["train"].keys()
    return plain


@pytest.mark.parametrize(
    "change",
    [
        {"training__optimizer": BOTH},
        {"training__schedule": {"type": "poly", "power": 0.9}},
        {"training__accumulate": {"choice": [1, 2]}},
        {"training__clip": {"choice": [None, 1.0]}},
        {"pair__teacher__train__optimizer": BOTH},
    ],
)
def test_a_run_of_before_lies_in_a_space_with_the_keys_of_today(change: dict[str, Any]) -> None:
    setting = _on_record(training__lr=0.05)
    assert list(parameters_in(space_of(distiller=setting["distiller"], **change), setting))
    other = {"training__optimizer": {"type": "sgd", "momentum": 0.5}}
    assert not list(parameters_in(space_of(distiller=setting["distiller"], **other), setting))


def test_a_run_of_a_method_of_before_lies_in_a_space_with_its_name_of_today() -> None:
    setting = _on_record(training__lr=0.05, distiller={"method": "mgd", "mask": "centre"})
    config = validate(TrialConfig, setting)
    setting["distiller"]["method"] = "fd"
    methods = {"choice": [{"method": "none"}, {"method": "mgd", "mask": "centre"}]}
    assert list(parameters_in(space_of(lr=0.05, distiller=methods), setting)) == [
        {"distiller": "mgd"}
    ]
    assert validate(TrialConfig, setting) == config
    assert validate(TrialConfig, setting).fingerprint("d", "t") == config.fingerprint("d", "t")


@pytest.mark.parametrize(
    "written",
    [
        {"method": "fd"},
        {"choice": [{"method": "fd"}, {"method": "kd"}]},
        {"method": {"choice": ["fd", "kd"]}},
    ],
)
def test_the_earlier_name_of_a_method_is_read_wherever_it_stands(written: dict[str, Any]) -> None:
    found = in_present_keys(
        {"distiller": written, "study": {"enqueue": [{"distiller": written}]}}, Source()
    )
    assert json.dumps(found) == json.dumps(found).replace("fd", "mgd")
    assert found["study"]["enqueue"][0]["distiller"] == found["distiller"]


def test_a_teacher_of_before_is_the_same_teacher() -> None:
    plain = trial().pair.teacher.as_before()
    assert {"momentum", "poly_power", "compile"} <= plain["train"].keys()
    assert "optimizer" not in plain["train"]
    assert '"momentum": 0.9' in teacher_key(trial())
    assert "accumulate" not in teacher_key(trial())
