"""Published settings by name: what a key `preset` stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Where the values come from, and all keys of the method's settings but `method`."""

    source: str
    values: dict[str, Any]


def with_preset(presets: Mapping[str, Preset], values: dict[str, Any]) -> dict[str, Any]:
    """Config values with their `preset` replaced by what it says of the keys that are not given.

    An unknown preset stays, for validation to refuse it at its own key.
    """
    name = values.get("preset")
    if not isinstance(name, str) or name not in presets:
        return values
    given = {key: value for key, value in values.items() if key != "preset"}
    return _joined(presets[name].values, given)


def _joined(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What is given wins, key by key, also in blocks of both."""
    found = {**values, **given}
    for key in values.keys() & given.keys():
        if isinstance(values[key], dict) and isinstance(given[key], dict):
            found[key] = _joined(values[key], given[key])
    return found


def pinned(
    presets: Mapping[str, Preset],
    defaults: Mapping[str, Any],
    block: dict[str, Any],
    space: dict[str, Any],
    ranges: tuple[type, ...],
) -> dict[str, Any]:
    """What a block with a preset says of the keys that `space` searches.

    Args:
        defaults: of the method's settings.
        space: config values, some of them of the types `ranges`.

    Raises:
        ValueError: no such preset, or one that sets a key which the space fixes to another value.
    """
    name = block["preset"]
    if name not in presets:
        raise ValueError(f"{name!r} is not one of {', '.join(map(repr, presets)) or 'any'}")
    if isinstance(space.get("preset"), ranges):
        return block
    given = {key: value for key, value in block.items() if key != "preset"}
    fixed = {**defaults, **with_preset(presets, space)}
    return _pins(presets[name].values, fixed, given, ranges, f"{name!r} sets ")


def _pins(
    values: dict[str, Any],
    fixed: dict[str, Any],
    given: dict[str, Any],
    ranges: tuple[type, ...],
    told: str,
) -> dict[str, Any]:
    pins = dict(given)
    for key, value in values.items():
        if key not in fixed:
            raise ValueError(
                f"{told}{key}, which this space leaves out; add it, or the same preset"
            )
        if isinstance(fixed[key], ranges):
            pins.setdefault(key, value)
        elif isinstance(value, dict) and isinstance(fixed[key], dict):
            inner = _pins(value, fixed[key], given.get(key, {}), ranges, f"{told}{key}.")
            pins |= {key: inner} if inner else {}
        elif key not in given and fixed[key] != value:
            raise ValueError(
                f"{told}{key} to {value!r}, but this space fixes it to {fixed[key]!r}; "
                f"search {key} too, or write out the settings without preset"
            )
    return pins
