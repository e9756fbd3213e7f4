"""YAML to configs: what counts as a number, and errors that a person can act on."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, PositiveFloat, ValidationError, model_validator

from afdcd.config import FrozenConfig, UserError, validate
from afdcd.yaml_text import load_yaml, override, parse_yaml


class Wave(FrozenConfig):
    method: Literal["wave"] = "wave"
    speed: PositiveFloat = 1.0


class Particle(FrozenConfig):
    method: Literal["particle"] = "particle"
    mass: float
    charges: tuple[int, ...] = ()


class Experiment(FrozenConfig):
    light: Annotated[Wave | Particle, Field(discriminator="method")] = Wave()
    rate: float = 1.0
    count: int = 1
    size: int | tuple[int, int] = 1

    @model_validator(mode="after")
    def _cross(self) -> "Experiment":
        if self.count > 5 and self.rate < 1:
            raise ValueError("count above 5 needs a rate of 1 or more")
        return self


def read(text: str) -> Experiment:
    values, source = parse_yaml(text, "a.yaml")
    return validate(Experiment, values, source)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-4", 1e-4), ("5E3", 5000.0), ("-2e+1", -20.0), ("1.5e-3", 1.5e-3), ("0.1", 0.1)],
)
def test_every_usual_spelling_of_a_number_is_a_number(text: str, number: float) -> None:
    assert read(f"rate: {text}").rate == number


@pytest.mark.parametrize("text", ["1e-4x", "e-4", "'1e-4'", "yes", "[1]", ".inf", ".nan"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^a\.yaml:1: rate: "):
        read(f"rate: {text}")


@pytest.mark.parametrize("text", ["8.0", "true", "'8'"])
def test_nothing_is_coerced_to_a_whole_number(text: str) -> None:
    with pytest.raises(UserError, match=r"count: .*integer"):
        read(f"count: {text}")


def test_unknown_key_suggests_the_nearest_and_names_the_line() -> None:
    with pytest.raises(UserError) as error:
        read("rate: 1.0\ncuont: 3\n")
    assert str(error.value) == "a.yaml:2: cuont: unknown key; did you mean 'count'?"


def test_unknown_key_in_a_union_suggests_names_of_the_chosen_member() -> None:
    with pytest.raises(UserError) as error:
        read("light:\n  method: particle\n  mass: 1.0\n  charge: [1]\n")
    assert str(error.value) == "a.yaml:4: light.charge: unknown key; did you mean 'charges'?"


def test_unlike_unknown_key_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"light\.zzz: unknown key; known keys: method, speed"):
        read("light: {method: wave, zzz: 1}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("light:\n  method: wave\n  speed: -1.0", "a.yaml:3: light.speed: input should be greater"),
        ("light:\n  method: particle", "a.yaml:1: light.mass: required, but not given"),
        ("light:\n  method: wva", "a.yaml:2: light.method: 'wva' is not one of 'wave', 'particle'"),
        ("light:\n  speed: 1.0", "a.yaml:1: light: needs the key 'method'"),
        (
            "light:\n  method: particle\n  mass: 1.0\n  charges:\n    - 1\n    - x",
            "a.yaml:6: light.charges.1: input should be a valid integer",
        ),
        ("count: 6\nrate: 0.5", "a.yaml:1: (top level): count above 5 needs a rate"),
    ],
)
def test_errors_name_file_line_and_key_as_written(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        read(text)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_union_of_scalars_and_lists_names_the_key_without_its_types() -> None:
    with pytest.raises(UserError) as error:
        read("size: wide")
    assert all(line.startswith("a.yaml:1: size: ") for line in str(error.value).splitlines())


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(UserError) as error:
        read("rate: fast\ncount: many\n")
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 1,\n  c: 2}", "s.yaml:3: b.c: given twice; keep one"),
        ("a: [1", "s.yaml:1: not valid YAML: "),
        ("a: {[8, 16]}", "s.yaml:1: a: a key must be a word"),
        ("- a\n- b", "s.yaml: holds no mapping"),
        ("", "s.yaml: holds no mapping"),
        ("a: !!python/object/apply:os.getcwd []", "s.yaml:1: not valid YAML: "),
    ],
)
def test_unusable_yaml_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_yaml(text, "s.yaml")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_missing_file_and_binary_file_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        load_yaml(tmp_path / "none.yaml")
    with pytest.raises(UserError, match=r"b\.yaml: not UTF-8 text"):
        load_yaml(tmp_path / "b.yaml")


def overridden(text: str, *assignments: str) -> dict[str, Any]:
    values, source = parse_yaml(text, "a.yaml")
    override(values, source, assignments)
    return values


def test_overrides_replace_add_and_the_last_one_wins() -> None:
    values = overridden("a: {b: 1, c: 2}", "a.b=1e-3", "d.e=[1, 2]", "a.b=7", "a.c=")
    assert values == {"a": {"b": 7, "c": None}, "d": {"e": [1, 2]}}


def test_value_of_an_override_may_hold_an_equals_sign() -> None:
    assert overridden("a: 1", "a='x=y'") == {"a": "x=y"}


@pytest.mark.parametrize("assignment", ["rate", "=1", "rate.x=1", "rate=[1"])
def test_bad_override_quotes_itself(assignment: str) -> None:
    with pytest.raises(UserError) as error:
        overridden("rate: 1.0", assignment)
    assert assignment in str(error.value)


def test_error_in_an_overridden_value_points_at_no_line_that_says_otherwise() -> None:
    values, source = parse_yaml("count: 1\nlight:\n  method: wave\n  speed: 2.0\n", "a.yaml")
    override(values, source, ["light.speed=-1.0"])
    with pytest.raises(UserError, match=r"^a\.yaml:2: light\.speed: .*got -1\.0"):
        validate(Experiment, values, source)


def test_plain_values_give_the_config_back() -> None:
    config = Experiment(light=Particle(mass=2.0, charges=(1, -1)), size=(3, 4))
    assert validate(Experiment, config.plain()) == config


def test_updated_copy_is_validated_and_the_original_stays() -> None:
    config = Experiment()
    assert config.updated(light=Particle(mass=1.0)).light == Particle(mass=1.0)
    assert config.light == Wave()
    with pytest.raises(ValidationError, match="count above 5"):
        config.updated(count=6, rate=0.5)
    with pytest.raises(ValidationError, match="frozen"):
        config.count = 3  # type: ignore[misc]
