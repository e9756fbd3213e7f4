"""Ranges: what they accept, what is asked of Optuna, and which corners are checked."""

from typing import Any

import optuna
import pytest

from afdcd.config import Source, UserError
from afdcd.search.space import Choice, Range, corners, parameters_of, parse_ranges, resolve
from afdcd.yaml_text import parse_yaml
from tests.sampled import suggest

SPACE = """
lr: {log: [1e-4, 1e-1]}
batch: {int: [8, 16], step: 4}
fixed: 3
distiller:
  choice:
    - {method: none}
    - {method: kd, weight: {uniform: [0.0, 2.0]}}
    - {method: afdcd, weight: {uniform: [5.0, 9.0]}, groups: {choice: [8, 16]}}
"""


def parsed(text: str) -> tuple[Any, Source]:
    values, source = parse_yaml(text, "s.yaml")
    return parse_ranges(values, source), source


def sampled(text: str, count: int = 30) -> list[dict[str, Any]]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [suggest(parsed(text)[0], study.ask()) for _ in range(count)]


def test_samples_stay_inside_and_keep_fixed_values() -> None:
    for values in sampled(SPACE):
        assert 1e-4 <= values["lr"] <= 1e-1
        assert values["batch"] in (8, 12, 16)
        assert type(values["batch"]) is int
        assert values["fixed"] == 3


def test_log_range_spreads_over_its_decades() -> None:
    below = sum(values["lr"] < 3e-3 for values in sampled(SPACE, 60))
    assert 20 <= below <= 40  # of 60; a uniform range would put about 2 there


def test_only_the_chosen_blocks_parameters_are_asked() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space, _ = parsed(SPACE)
    asked = {"none": set(), "kd": {"weight"}, "afdcd": {"weight", "groups"}}
    for _ in range(20):
        trial = study.ask()
        method = suggest(space, trial)["distiller"]["method"]
        inner = {f"distiller.{method}.{name}" for name in asked[method]}
        assert set(trial.params) == {"lr", "batch", "distiller"} | inner


def test_same_name_in_two_blocks_has_its_own_range_in_each() -> None:
    for values in sampled(SPACE):
        block = values["distiller"]
        ends = {"kd": (0.0, 2.0), "afdcd": (5.0, 9.0)}.get(block["method"])
        if ends:
            assert ends[0] <= block["weight"] <= ends[1]


def test_a_range_may_be_an_option_beside_a_value() -> None:
    values = [v["weight"] for v in sampled("weight: {choice: [0.0, {log: [1e-4, 1e-2]}]}")]
    assert 0.0 in values
    assert any(1e-4 <= value <= 1e-2 for value in values)
    assert all(value == 0.0 or 1e-4 <= value <= 1e-2 for value in values)


def test_ranges_inside_list_options_do_not_share_a_name() -> None:
    text = "scale: {choice: [[{uniform: [0.1, 0.5]}, 1.0], [{uniform: [2.0, 3.0]}, 4.0]]}"
    for low, high in (values["scale"] for values in sampled(text)):
        assert (0.1 <= low <= 0.5, high) == (True, 1.0) or (2.0 <= low <= 3.0, high) == (True, 4.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: {uniform: [1, 1]}", "must rise from left to right"),
        ("x: {uniform: [2, 1]}", "must rise from left to right"),
        ("x: {log: [0, 1]}", "needs ends above 0"),
        ("x: {int: [1.5, 3]}", "int takes two whole numbers"),
        ("x: {uniform: [1]}", "uniform takes two numbers"),
        ("x: {uniform: [a, b]}", "uniform takes two numbers"),
        ("x: {uniform: [false, true]}", "uniform takes two numbers"),
        ("x: {int: [1, 8], step: 3}", "step 3 must be a whole divisor of 7"),
        ("x: {uniform: [1, 8], step: 3}", "a uniform range takes no step"),
        ("x: {log: [1, 8], base: 2}", "a log range takes no base"),
        (
            "x: {int: [1, 4], log: true}",
            r"a log range takes no int; write {log: \[low, high\]} alone",
        ),
        ("x: {choice: []}", "choice takes a list"),
        ("x: {choice: 3}", "choice takes a list"),
        ("x: {choice: [a, b, a]}", "the same option twice"),
    ],
)
def test_wrong_range_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"^s\.yaml:2: x: .*{message}"):
        parsed(f"\n{text}")


def test_error_inside_a_choice_names_its_own_line() -> None:
    with pytest.raises(UserError, match=r"^s\.yaml:4: d\.choice\.1\.w: .*must rise"):
        parsed("d:\n  choice:\n    - {m: a}\n    - {m: b, w: {log: [3, 2]}}")


def test_corners_visit_both_ends_of_every_range_and_every_option() -> None:
    seen: dict[tuple[str, str], set[Any]] = {}
    for values, _ in corners(parsed(SPACE)[0]):
        for name in ("lr", "batch"):
            seen.setdefault(("", name), set()).add(values[name])
        block = values["distiller"]
        for name, value in block.items():
            seen.setdefault((block["method"], name), set()).add(value)
    assert seen == {
        ("", "lr"): {1e-4, 1e-1},
        ("", "batch"): {8, 16},
        ("none", "method"): {"none"},
        ("kd", "method"): {"kd"},
        ("kd", "weight"): {0.0, 2.0},
        ("afdcd", "method"): {"afdcd"},
        ("afdcd", "weight"): {5.0, 9.0},
        ("afdcd", "groups"): {8, 16},
    }


def test_each_end_is_also_seen_beside_the_others_low_and_high() -> None:
    found = {(v["a"], v["b"]) for v, _ in corners(parsed("a: {int: [1, 2]}\nb: {int: [3, 4]}")[0])}
    assert found == {(1, 3), (2, 3), (1, 4), (2, 4)}


def test_corners_know_where_their_keys_are_written() -> None:
    space, source = parsed(SPACE)
    for values, places in corners(space):
        if values["distiller"]["method"] == "kd":
            assert source.lines[places["distiller", "weight"]] == 8


def test_space_without_ranges_has_one_corner() -> None:
    assert [values for values, _ in corners(parsed("a: {b: [1, 2]}")[0])] == [{"a": {"b": [1, 2]}}]


def test_blocks_are_labelled_by_the_first_key_that_tells_them_apart() -> None:
    space, _ = parsed("p: {choice: [{head: psp, name: a}, {head: psp, name: b}]}")
    assert space["p"].labels == ("a", "b")
    space, _ = parsed("p: {choice: [{x: [1]}, {x: [2]}]}")
    assert space["p"].option('{"x": [2]}') == {"x": [2]}


def test_partial_settings_become_parameters_that_resolve_to_themselves() -> None:
    space, source = parsed(SPACE)
    block = {"lr": 0.01, "distiller": {"method": "afdcd", "groups": 16}}
    parameters = parameters_of(space, block, source, ("study", "enqueue", 0))
    assert parameters == {"lr": 0.01, "distiller": "afdcd", "distiller.afdcd.groups": 16}
    full = {**parameters, "batch": 8, "distiller.afdcd.weight": 6.0}
    assert resolve(space, lambda name, _: full[name]) == {
        "lr": 0.01,
        "batch": 8,
        "fixed": 3,
        "distiller": {"method": "afdcd", "groups": 16, "weight": 6.0},
    }


def test_a_value_within_an_optional_range_is_a_setting() -> None:
    space, source = parsed("w: {choice: [0.0, {log: [1e-4, 1e-2]}]}")
    found = parameters_of(space, {"w": 1e-3}, source, ())
    assert found == {"w": space["w"].labels[1], f"w.{space['w'].labels[1]}": 1e-3}
    assert resolve(space, lambda name, _: found[name]) == {"w": 1e-3}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"lr": 1.0}, r"enqueue\.0\.lr: 1\.0 is outside log \[0\.0001, 0\.1\]"),
        ({"batch": 9}, r"batch: 9 is outside int \[8, 16\] in steps of 4"),
        ({"batch": 12.0}, r"batch: 12\.0 is outside int"),
        ({"batch": True}, r"batch: True is outside int"),
        ({"fixed": 4}, r"fixed: this space fixes .* to 3"),
        ({"speed": 4}, r"speed: not in this search space"),
        ({"distiller": {"method": "mgd"}}, r"is not one of \['none', 'kd', 'afdcd'\]"),
        ({"distiller": {"method": "kd", "groups": 8}}, r"distiller\.groups: not in this search"),
    ],
)
def test_settings_outside_the_space_are_refused(block: dict[str, Any], message: str) -> None:
    space, source = parsed(SPACE)
    with pytest.raises(UserError, match=message):
        parameters_of(space, block, source, ("study", "enqueue", 0))


def test_parsing_leaves_other_mappings_alone() -> None:
    assert parsed("a: {b: {c: 1}}")[0] == {"a": {"b": {"c": 1}}}
    assert parsed("a: {int: [1, 2]}")[0] == {"a": Range("int", 1, 2)}
    assert parsed("a: {choice: [x, y]}")[0] == {"a": Choice(("x", "y"), ("x", "y"))}
