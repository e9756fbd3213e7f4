"""Typed configuration: YAML text to frozen pydantic models, errors that name file, line and key."""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import pydantic
import pydantic_core
import yaml

from afdcd.text import first_line

Key = tuple[str | int, ...]


class UserError(Exception):
    """A mistake a person can mend: one line that says what is wrong, where, and what to do.

    Entry points print it without a traceback and exit with status 2.
    """


class FrozenConfig(pydantic.BaseModel):
    """Base of every config: immutable, no silent coercion, an unknown key is an error."""

    model_config = pydantic.ConfigDict(
        frozen=True, strict=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    def plain(self) -> dict[str, Any]:
        """The config as JSON-compatible values; `validate(type(self), config.plain())` gives it back."""
        return self.model_dump(mode="json")

    def updated(self, **values: Any) -> Self:
        """A copy with some fields replaced, validated like any other config."""
        return type(self).model_validate_json(_json({**self.plain(), **_plain(values)}))


ConfigT = TypeVar("ConfigT", bound=FrozenConfig)


@dataclass(frozen=True)
class Source:
    """Where a config came from, so that an error can point at the line a person wrote."""

    name: str = "config"
    lines: dict[Key, int] = field(default_factory=dict)
    prefix: Key = ()  # of a section that is validated by itself

    def at(self, key: Sequence[str | int]) -> str:
        """`file:line: dotted.key`; the line is that of the nearest enclosing key in the file."""
        key = (*self.prefix, *key)
        for end in range(len(key), -1, -1):
            if key[:end] in self.lines:
                return f"{self.name}:{self.lines[key[:end]]}: {dotted(key)}"
        return f"{self.name}: {dotted(key)}"


def dotted(key: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in key) or "(top level)"


def validate(model: type[ConfigT], values: Any, source: Source | None = None) -> ConfigT:
    """Validate plain values (as YAML or JSON give them) as `model`.

    Raises:
        UserError: one line per mistake with file, line, key, rule and the nearest right name.
    """
    try:
        # JSON mode: lists may become tuples, while "3" still is no number and 1 no boolean.
        return model.model_validate_json(_json(values))
    except pydantic.ValidationError as error:
        lines = [_explain(item, values, source or Source(), model) for item in error.errors()]
        raise UserError("\n".join(dict.fromkeys(lines))) from None
    except pydantic_core.PydanticSerializationError as error:  # YAML's !!binary
        name = source.name if source else "config"
        raise UserError(f"{name}: a value is neither text nor number: {error}") from None


def _json(values: Any) -> bytes:
    return pydantic_core.to_json(values, inf_nan_mode="constants")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.plain() if isinstance(value, FrozenConfig) else value
        for key, value in values.items()
    }


def _explain(item: Any, values: Any, source: Source, model: type[pydantic.BaseModel]) -> str:
    key = _written_key(item["loc"], values)
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{source.at(key)}: unknown key{_nearest(item['loc'], model)}"
    if kind in ("union_tag_invalid", "literal_error"):
        wrong = context.get("tag", item["input"])
        names = context.get("expected_tags") or context.get("expected")
        where = (*key, context["discriminator"].strip("'")) if "discriminator" in context else key
        return f"{source.at(where)}: {wrong!r} is not one of {names}"
    if kind == "union_tag_not_found":
        return f"{source.at(key)}: needs the key {context['discriminator']} to say which kind it is"
    if kind == "missing":
        return f"{source.at(key)}: required, but not given"
    message = item["msg"].removeprefix("Value error, ")
    return f"{source.at(key)}: {message[0].lower()}{message[1:]}{_given(item)}"


def _given(item: Any) -> str:
    value = item["input"]
    if isinstance(value, dict):
        return "" if item["type"] == "value_error" else f" (got the keys {', '.join(value)})"
    return "" if isinstance(value, list) else f" (got {value!r})"


def _written_key(loc: Sequence[str | int], values: Any) -> Key:
    """The location as a person wrote it: pydantic adds the tag of a union, which is no key."""
    key: list[str | int] = []
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        inside = (isinstance(values, dict) and part in values) or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        )
        if inside:
            key.append(part)
            values = values[part]
        elif last and isinstance(values, dict) and values.get("method") != part:
            key.append(part)
    return tuple(key)


def _nearest(loc: Sequence[str | int], model: type[pydantic.BaseModel]) -> str:
    names = sorted(_field_names(loc[:-1], model))
    close = difflib.get_close_matches(str(loc[-1]), names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known keys: {', '.join(names)}" if names else ""


def _field_names(loc: Sequence[str | int], model: type[pydantic.BaseModel]) -> set[str]:
    """Field names of the model(s) that `loc` leads to."""
    models = {model}
    for part in loc:
        inside = {found for m in models for found in _models_in(m.model_fields.get(str(part)))}
        tagged = {m for m in models if _tag(m) == part}
        models = inside or tagged or models
    return {name for m in models for name in m.model_fields}


def _tag(model: type[pydantic.BaseModel]) -> Any:
    method = model.model_fields.get("method")
    return method.default if method else None


def _models_in(info: Any) -> Iterator[type[pydantic.BaseModel]]:
    pending = [info.annotation] if info else []
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
            yield annotation
        pending.extend(getattr(annotation, "__args__", ()))


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys and reads `1e-4` as the number it looks like."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def load_yaml(path: str | Path) -> tuple[dict[str, Any], Source]:
    """Read a YAML mapping and remember on which line each key stands.

    Raises:
        UserError: the file is missing, not YAML, not a mapping, or says a key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the path of a YAML file") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give the path of a YAML file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> tuple[dict[str, Any], Source]:
    """`load_yaml` for a text; `name` stands for the file in errors."""
    lines: dict[Key, int] = {}
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise UserError(f"{name}: holds no mapping; expected `key: value` lines")
        _record_lines(node, (), lines, name)
        return loader.construct_document(node), Source(name, lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{name}:{line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{name}: not valid YAML: {first_line(error)}") from None
    except RecursionError:
        raise UserError(
            f"{name}: nested too deeply, or an alias inside its own anchor; write the values out"
        ) from None
    except ValueError as error:  # a number of thousands of digits, a date that does not exist
        raise UserError(f"{name}: holds an impossible value: {str(error).split(';')[0]}") from None
    finally:
        if loader:
            loader.dispose()


def _record_lines(node: yaml.Node, key: Key, lines: dict[Key, int], name: str) -> None:
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _record_lines(item, (*key, index), lines, name)
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise UserError(f"{name}:{line}: {dotted(key)}: a key must be a word, not a block")
            child = (*key, key_node.value)
            if child in lines:
                raise UserError(f"{name}:{line}: {dotted(child)}: given twice; keep one")
            lines[child] = line
            _record_lines(value_node, child, lines, name)


def override(values: dict[str, Any], source: Source, assignments: Sequence[str]) -> None:
    """Apply `dotted.key=value` (the value read as YAML) in place; later assignments win.

    Raises:
        UserError: no `=`, or a dotted key that leads through something that is no mapping.
    """
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not all(name.split(".")):
            raise UserError(f"{assignment!r} is no override; write key=value, e.g. study.trials=8")
        *parents, last = name.split(".")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise UserError(f"override {assignment!r}: {parent!r} is no mapping")
        target[last] = parse_yaml(f"value: {text or 'null'}", f"override {assignment!r}")[0][
            "value"
        ]
        _forget_lines(source, tuple(name.split(".")))


def _forget_lines(source: Source, key: Key) -> None:
    for known in [known for known in source.lines if known[: len(key)] == key]:
        del source.lines[known]
