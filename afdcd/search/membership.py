"""Whether a setting that was run lies in a search space, which may have grown since."""

from collections.abc import Iterator
from typing import Any

from afdcd.config import Key
from afdcd.search.earlier import setting_of_today
from afdcd.search.space import Choice, Range

# Of a setting: labels, places and machines, which make no other setting.
NOT_COMPARED: tuple[Key, ...] = (
    ("data", "root"),
    ("data", "loader_workers"),
    ("resources",),
    ("training", "compile"),
    ("training", "seed"),  # which run of a setting it is
    ("pair", "name"),
    ("pair", "teacher", "weights"),  # where a teacher lies; which one it is, its sha256 says
)


def parameters_in(space: Any, setting: Any) -> Iterator[dict[str, Any]]:
    """The parameters by name with which a space may give a setting; nothing if it cannot.

    Several where options look alike from outside, as blocks that differ in their preset do. What a
    space leaves out has its default in the setting, so it fits anything here: the caller compares
    what the parameters really give.

    Args:
        setting: plain config values with all defaults filled in.
    """
    return _fits(space, setting_of_today(setting), "", ())


def _fits(space: Any, value: Any, name: str, key: Key) -> Iterator[dict[str, Any]]:
    if key in NOT_COMPARED:
        yield {}
    elif isinstance(space, Range):
        if space.holds(value):
            yield {name: value}
    elif isinstance(space, Choice):
        for label, option in zip(space.labels, space.options, strict=True):
            for inside in _fits(option, value, f"{name}.{label}", key):
                yield {name: label, **inside}
    elif isinstance(space, dict) and isinstance(value, dict):
        yield from _all_fit(space, value, name, key)
    elif isinstance(space, list | tuple) and isinstance(value, list | tuple):
        if len(space) == len(value):
            yield from _all_fit(dict(enumerate(space)), dict(enumerate(value)), name, key)
    elif space == value:
        yield {}


def _all_fit(
    space: dict[Any, Any], value: dict[Any, Any], name: str, key: Key
) -> Iterator[dict[str, Any]]:
    combined: list[dict[str, Any]] = [{}]
    for part, item in space.items():
        if part not in value and not isinstance(item, Range | Choice | dict | list):
            continue  # a word that is read and then forgotten, as a preset is
        child = f"{name}.{part}" if name else str(part)
        found = list(_fits(item, value.get(part), child, (*key, part)))
        combined = [{**before, **new} for before in combined for new in found]
    yield from combined
