"""YAML that a person wrote, as plain values: read safely, with the line of every key.

A scalar means what YAML 1.2's core schema says: `1e-4` is a number, and off, no, 1:30, 2024-01-01
and 1_000 are words. PyYAML knows YAML 1.1 alone, where those are two booleans, ninety, a date and a
thousand, and 017 is fifteen.
"""

import json
import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from afdcd.config import Key, Source, UserError, dotted
from afdcd.text import first_line

_CORE_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Knows the tags of the core schema and no others; every key is a word."""

    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        None: yaml.SafeLoader.construct_undefined,
        f"{_CORE_TAG}str": yaml.SafeLoader.construct_yaml_str,
        f"{_CORE_TAG}seq": yaml.SafeLoader.construct_yaml_seq,
        f"{_CORE_TAG}map": yaml.SafeLoader.construct_yaml_map,
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)  # `<<: *anchor`
        return {key.value: self.construct_object(item, deep=deep) for key, item in node.value}


def _scalar(meaning: Callable[[str], Any]) -> Callable[[_Loader, yaml.ScalarNode], Any]:
    return lambda loader, node: meaning(str(loader.construct_scalar(node)))


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _whole(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _number(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


# Tag, what a plain scalar of it looks like, its possible first characters, what it means.
# https://yaml.org/spec/1.2.2/#1032-tag-resolution; of two that fit, the first counts.
_CORE: tuple[tuple[str, str, Sequence[str], Callable[[str], Any]], ...] = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", ""), lambda text: None),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF", _boolean),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _whole),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
        _number,
    ),
)
_Loader.yaml_implicit_resolvers = {}  # none of YAML 1.1
for _tag, _pattern, _first, _meaning in _CORE:
    _Loader.add_implicit_resolver(
        f"{_CORE_TAG}{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first)
    )
    _Loader.add_constructor(f"{_CORE_TAG}{_tag}", _scalar(_meaning))
_Loader.add_implicit_resolver(f"{_CORE_TAG}merge", re.compile(r"<<\Z"), ["<"])


def load_yaml(path: str | Path) -> tuple[dict[str, Any], Source]:
    """Read a YAML mapping and remember on which line each key stands.

    Raises:
        UserError: the file is missing, not YAML, not a mapping, or says a key twice.
    """
    return parse_yaml(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """Raises UserError: missing, not readable, or not UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the path of a YAML file") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give the path of a YAML file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from None


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
    except ValueError as error:  # a number of thousands of digits, `!!int` before a word
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


def quoted(text: str) -> str:
    """As YAML reads it: JSON's quotes, and no character that YAML refuses or takes for a line's end."""
    letters = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in letters)
