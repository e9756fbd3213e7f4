"""Search spaces and settings in the keys of today, whatever edition of afdcd they were written for."""

import re
from functools import lru_cache
from typing import Any

from afdcd.config import Key, Source, UserError
from afdcd.distillers.configs import EARLIER as EARLIER_METHODS
from afdcd.distillers.configs import in_present_names as with_present_method
from afdcd.training.recipe import EARLIER, in_present_names, recorded

RECIPES = ("training", "train")  # keys whose block is a recipe, at any depth


def in_present_keys(values: Any, source: Source, key: Key = ()) -> Any:
    """What a file says, with the names that keys have now; a line of the file stays theirs.

    Raises:
        UserError: one key under both of its names.
    """
    if isinstance(values, str):
        return EARLIER_METHODS.get(values, values) if _names_method(key) else values
    if isinstance(values, list):
        return [in_present_keys(item, source, (*key, at)) for at, item in enumerate(values)]
    if not isinstance(values, dict):
        return values
    found = {name: in_present_keys(item, source, (*key, name)) for name, item in values.items()}
    if not key or key[-1] not in RECIPES:
        return found
    for name in EARLIER.keys() & found.keys():
        block, _, part = EARLIER[name]
        _note_lines(source, (*key, name), (*key, block, part))
    try:
        return in_present_names(found)
    except ValueError as error:
        raise UserError(f"{source.at(key)}: {error}") from None


def parameters_of_today(values: dict[str, Any]) -> dict[str, Any]:
    """Searched values by parameter or by path, on record, under the names that both have now."""
    return {_parameter_of_today(name): _label_of_today(name, v) for name, v in values.items()}


@lru_cache(maxsize=4096)  # thousands of rows have the same few names
def _parameter_of_today(name: str) -> str:
    for was, now in EARLIER_METHODS.items():
        name = re.sub(rf"^distiller\.{was}(?=[.#]|$)", f"distiller.{now}", name)
    for was, (block, _, part) in EARLIER.items():
        name = re.sub(rf"^training\.{was}(?=#|$)", f"training.{block}.{part}", name)
    return name


def _label_of_today(name: str, value: Any) -> Any:
    """A method's, where there is a choice of methods."""
    if not isinstance(value, str) or value not in EARLIER_METHODS:
        return value
    chooses = re.fullmatch(r"distiller(\.method)?(#\d+)?", name)
    return EARLIER_METHODS[value] if chooses else value


def _names_method(key: Key) -> bool:
    """Whether the value there is a method's name, or one of several to choose from."""
    words = [part for part in key if isinstance(part, str) and part != "choice"]
    return "distiller" in words and words[-1] == "method"


def _note_lines(source: Source, written: Key, now: Key) -> None:
    """Where what was written under one key stands, under the key that it has now."""
    inside = {k: n for k, n in source.lines.items() if k[: len(written)] == written}
    source.lines.update({(*now, *key[len(written) :]): line for key, line in inside.items()})


def setting_of_today(setting: dict[str, Any]) -> dict[str, Any]:
    """A setting on record, with all keys that one has now."""
    pair = setting.get("pair") or {}
    teacher = pair.get("teacher") or {}
    if teacher.get("train"):
        teacher = {**teacher, "train": recorded(teacher["train"])}
        pair = {**pair, "teacher": teacher}
    distiller = with_present_method(setting.get("distiller"))
    return {
        **setting,
        **({"distiller": distiller} if distiller else {}),
        "pair": pair,
        "training": recorded(setting["training"]),
    }
