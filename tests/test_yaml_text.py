"""What a person writes in YAML, in a file or as an override, means what it looks like."""

import math
from typing import Any

import pytest

import afdcd.data.prepare.build
import afdcd.search.load
import afdcd.tasks.options  # noqa: F401  every config has been imported
from afdcd.config import FrozenConfig, Switch, UserError, validate
from afdcd.search.load import load_space
from afdcd.yaml_text import override, parse_yaml

WORDS = [
    *("on", "On", "off", "OFF", "yes", "Yes", "no", "NO", "y", "n"),
    *("1:30", "190:20:30", "12:30:45.6"),
    *("2024-01-01", "2001-12-14t21:59:43.10-05:00"),
    *("1_000", "0b101", "0x_1", "1e", "e-4", ".", "+", "="),
    *("nil", "none", "None", "tRuE"),
]


@pytest.mark.parametrize("text", WORDS)
def test_words_of_yaml_1_1_that_look_like_words_are_words(text: str) -> None:
    assert parse_yaml(f"{text}: [{text}, {{{text}: {text}}}]", "a.yaml")[0] == {
        text: [text, {text: text}]
    }


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        *[("~", None), ("null", None), ("", None), ("NULL", None)],
        *[("true", True), ("True", True), ("FALSE", False)],
        *[("017", 17), ("0o17", 15), ("0x1F", 31), ("-3", -3), ("+3", 3), ("0", 0)],
        *[
            (".5", 0.5),
            ("-.5", -0.5),
            ("5.", 5.0),
            ("1e-4", 1e-4),
            ("1E3", 1e3),
            ("+1.5e+2", 150.0),
        ],
        *[(".inf", math.inf), ("-.INF", -math.inf)],
        *[("'off'", "off"), ('"1"', "1"), ("!!str 1", "1"), ("!!float 1", 1.0), ("!!int '7'", 7)],
    ],
)
def test_every_other_scalar_means_what_yaml_1_2_says(text: str, meaning: Any) -> None:
    value = parse_yaml(f"a: {text}", "a.yaml")[0]["a"]
    assert (type(value), value) == (type(meaning), meaning)


def test_not_a_number_is_one() -> None:
    assert math.isnan(parse_yaml("a: .NaN", "a.yaml")[0]["a"])


@pytest.mark.parametrize("key", ["on", "no", "1", "1.5", "true", "~", "2024-01-01", "1:30"])
def test_a_key_is_a_word_whatever_it_looks_like(key: str) -> None:
    values, source = parse_yaml(f"a:\n  {key}: 1\n", "a.yaml")
    assert values == {"a": {key: 1}}
    assert source.at(("a", key)) == f"a.yaml:2: a.{key}"


def test_an_anchor_may_be_merged() -> None:
    text = "a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}\n"
    assert parse_yaml(text, "a.yaml")[0]["d"] == {"b": 1, "c": 3}


def test_an_override_is_read_as_the_file_is() -> None:
    values, source = parse_yaml("a: 1", "a.yaml")
    override(values, source, ["a=off", "on.no=1:30", "b={choice: [on, no]}", "c=true"])
    assert values == {"a": "off", "on": {"no": "1:30"}, "b": {"choice": ["on", "no"]}, "c": True}


class Lamp(FrozenConfig):
    lit: Switch = False
    dimmed: Switch | None = None
    mode: str = "steady"


@pytest.mark.parametrize(
    ("text", "lit"),
    [(text, True) for text in ("true", "on", "yes", "On", "YES", "'on'")]
    + [(text, False) for text in ("false", "off", "no", "Off", "NO", "'no'")],
)
def test_a_boolean_is_taken_where_one_is_meant(text: str, lit: bool) -> None:
    values, source = parse_yaml(f"lit: {text}\ndimmed: {text}", "a.yaml")
    lamp = validate(Lamp, values, source)
    assert (lamp.lit, lamp.dimmed) == (lit, lit)
    assert validate(Lamp, lamp.plain()) == lamp


@pytest.mark.parametrize("text", ["maybe", "1", "0", "'true'", "[on]"])
def test_nothing_else_is_a_boolean(text: str) -> None:
    values, source = parse_yaml(f"lit: {text}", "a.yaml")
    with pytest.raises(UserError, match=r"^a\.yaml:1: lit: input should be a valid boolean"):
        validate(Lamp, values, source)


@pytest.mark.parametrize("text", ["true", "2024", "1.5"])
def test_what_is_no_word_is_told_how_to_become_one(text: str) -> None:
    values, source = parse_yaml(f"mode: {text}", "a.yaml")
    with pytest.raises(UserError) as told:
        validate(Lamp, values, source)
    expected = "a.yaml:1: mode: input should be a valid string "
    assert str(told.value) == f"{expected}(got {text}); in quotes it is a word: '{text}'"


def _configs(base: type[FrozenConfig] = FrozenConfig) -> list[type[FrozenConfig]]:
    return [base, *(found for child in base.__subclasses__() for found in _configs(child))]


def test_every_boolean_of_every_config_may_be_a_word() -> None:
    """A field of the plain type `bool` would take true and false alone."""
    fields = {
        (config.__name__, name): field
        for config in _configs()
        if config.__module__.startswith("afdcd.")
        for name, field in config.model_fields.items()
        if "bool" in str(field.annotation)
    }
    assert {("DataConfig", "flip"), ("ModelConfig", "aux")} <= fields.keys()
    for where, field in fields.items():
        assert "BeforeValidator(func=<function _switch" in f"{field.annotation}{field.metadata}", (
            where
        )


SPACE = """\
data: {dataset: synthetic, root: data, crop: [64, 64], flip: off}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050", aux: yes}
training: {iterations: 12, validate_every: 4, batch: 4, compile: {choice: [on, off, auto]}}
study: {name: on}
"""


def test_a_search_space_may_say_on_and_off(tmp_path: Any) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(SPACE)
    space = load_space(str(file), [])
    assert space.name == "on"
    (data,) = {example.data.flip for example in space.examples}
    (aux,) = {example.pair.student.aux for example in space.examples}
    assert (data, aux) == (False, True)
    assert {example.training.compile for example in space.examples} == {"on", "off", "auto"}
    off = load_space(str(file), ["training.compile=off", "study.name=off", "data.flip=on"])
    assert (off.name, off.examples[0].training.compile) == ("off", "off")
    assert off.examples[0].data.flip is True
    with pytest.raises(UserError, match=r"distiller\.method: 'no' is not one of 'none', 'kd'"):
        load_space(str(file), ["distiller.method=no"])
    with pytest.raises(UserError, match=r"compile: true is not one of 'auto', 'on' or 'off'"):
        load_space(str(file), ["training.compile=true"])
