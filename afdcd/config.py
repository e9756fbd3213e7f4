"""Typed configuration: plain values to frozen pydantic models, errors that name file, line and key."""

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self, TypeVar

import pydantic
import pydantic_core

from afdcd.text import shown

Key = tuple[str | int, ...]
TAGS = ("method", "type")  # keys that say which kind a block is


class UserError(Exception):
    """A mistake a person can mend: one line that says what is wrong, where, and what to do.

    Entry points print it without a traceback and exit with status 2.
    """


class KeyedError(ValueError):
    """What a validator raises that looks at several keys: which of them is to be mended."""

    def __init__(self, message: str, *key: str) -> None:
        super().__init__(message)
        self.key = key


def _switch(value: Any) -> Any:
    return _SWITCHES.get(value.lower(), value) if isinstance(value, str) else value


_SWITCHES = {"on": True, "yes": True, "off": False, "no": False}
# A boolean field of a config. In YAML on, off, yes and no are words: only where a boolean is meant do
# they mean one.
Switch = Annotated[bool, pydantic.BeforeValidator(_switch)]


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
        raise UserError(shown("\n".join(dict.fromkeys(lines)))) from None


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
        return f"{source.at(where)}: {_spelled(wrong)} is not one of {names}"
    if kind == "union_tag_not_found":
        return f"{source.at(key)}: needs the key {context['discriminator']} to say which kind it is"
    if kind == "missing":
        return f"{source.at(key)}: required, but not given"
    if isinstance(told := context.get("error"), KeyedError):
        return f"{source.at((*key, *told.key))}: {told}"
    message = item["msg"].removeprefix("Value error, ")
    remedy = ""
    if kind == "string_type" and isinstance(item["input"], bool | int | float):
        remedy = f"; in quotes it is a word: '{_spelled(item['input'])}'"
    return f"{source.at(key)}: {message[0].lower()}{message[1:]}{_given(item)}{remedy}"


def _given(item: Any) -> str:
    value = item["input"]
    if isinstance(value, dict):
        return "" if item["type"] == "value_error" else f" (got the keys {', '.join(value)})"
    return "" if isinstance(value, list) else f" (got {_spelled(value)})"


def _spelled(value: Any) -> str:
    """A scalar as a person would write it in YAML."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


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
        elif last and isinstance(values, dict) and part not in map(values.get, TAGS):
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
    tags = [model.model_fields[name].default for name in TAGS if name in model.model_fields]
    return tags[0] if tags else None


def _models_in(info: Any) -> Iterator[type[pydantic.BaseModel]]:
    pending = [info.annotation] if info else []
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
            yield annotation
        pending.extend(getattr(annotation, "__args__", ()))
