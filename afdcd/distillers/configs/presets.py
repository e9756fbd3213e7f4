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
    return {**presets[name].values, **given}


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
    fixed = {**defaults, **with_preset(presets, space)}
    pins = {key: value for key, value in block.items() if key != "preset"}
    for key, value in presets[name].values.items():
        if isinstance(fixed[key], ranges):
            pins.setdefault(key, value)
        elif key not in block and fixed[key] != value:
            raise ValueError(
                f"{name!r} sets {key} to {value!r}, but this space fixes it to {fixed[key]!r}; "
                f"search {key} too, or write out the settings without preset"
            )
    return pins
