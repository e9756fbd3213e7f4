"""What a search may not vary, because all trials of a study must share it."""

from typing import Any

from afdcd.config import Key, Source, UserError
from afdcd.distillers.configs import METHODS
from afdcd.search.space import Choice, Range

# One study reads and scores one data set in one way and trains for one length, or its values could not
# be compared. A searched seed would be the luckiest one.
_SHARED = (
    ("task",),
    ("data", "dataset"),
    ("data", "root"),
    ("data", "protocol"),
    ("data", "normalisation"),
    ("data", "loader_workers"),
    ("resources",),
    ("training", "iterations"),
    ("training", "validate_every"),
    ("training", "seed"),
)


def check_fixed(space: dict[str, Any], source: Source) -> None:
    """Refuse ranges that no study could honour.

    Raises:
        UserError: a range over the data, the resources, or inside a teacher. Teachers are trained
            and measured before the first trial, so they are a list of whole blocks.
    """
    for section, *rest in _SHARED:
        key: Key = (section,)
        node = space.get(section)
        for part in rest:
            if isinstance(node, dict):  # else a choice of whole blocks, or a mistake found later
                key, node = (*key, part), node.get(part)
        if found := _first_range(node, key):
            raise UserError(
                f"{source.at(found)}: all runs of a study must share it, or their scores could not be "
                "compared, so it takes no range; give one value, and run a study for each"
            )
    _check_whole(space.get("distiller"), ("distiller",), source)
    for teacher, key in _teachers(space.get("pair"), ("pair",)):
        if found := _first_range(teacher, key):
            raise UserError(
                f"{source.at(found)}: a teacher takes no ranges inside; choose among whole ones: "
                "pair.teacher: {choice: [{...}, {...}]}"
            )
        searched = _first_range(space.get("data"), ("data",))
        if searched and isinstance(teacher, dict) and teacher.get("train"):
            raise UserError(
                f"{source.at(searched)}: the teacher is trained once for all runs, so the data it "
                "learns from take no range; give one value, or give finished pair.teacher.weights"
            )


def _check_whole(node: Any, key: Key, source: Source) -> None:
    """What a method's prerequisites follow takes no range of numbers: each would be a run of its own."""
    if isinstance(node, Choice):
        for option, at in _options(node, key):
            _check_whole(option, at, source)
    method = METHODS.get(str(node.get("method"))) if isinstance(node, dict) else None
    if method is None:
        return
    if method.PREPARES:
        raise UserError(
            f"{source.at((*key, 'method'))}: {node['method']!r} is trained by itself, for the method that "
            "needs it; choose that one"
        )
    terms = node.get("terms")
    for name, part in terms.items() if isinstance(terms, dict) else ():
        if isinstance(part, dict):
            _check_whole({**part, "method": name}, (*key, "terms", name), source)
    for name in method.WHOLE & node.keys():
        if isinstance(node[name], Range):
            raise UserError(
                f"{source.at((*key, name))}: each value needs a run of its own before the study begins, "
                "so it takes no range; choose among some: {choice: [...]}"
            )


def _teachers(node: Any, key: Key) -> list[tuple[Any, Key]]:
    """The teacher blocks of a pair, or of each pair of a choice, and where they are written."""
    options = _options(node, key)
    teachers = [
        (option["teacher"], (*at, "teacher"))
        for option, at in options
        if isinstance(option, dict) and "teacher" in option
    ]
    return [found for teacher, at in teachers for found in _options(teacher, at)]


def _options(node: Any, key: Key) -> list[tuple[Any, Key]]:
    if not isinstance(node, Choice):
        return [(node, key)]
    placed = [(option, (*key, "choice", i)) for i, option in enumerate(node.options)]
    return [found for option, at in placed for found in _options(option, at)]


def _first_range(node: Any, key: Key) -> Key | None:
    if isinstance(node, Range | Choice):
        return key
    if not isinstance(node, dict | list):
        return None
    parts = node.items() if isinstance(node, dict) else enumerate(node)
    return next(filter(None, (_first_range(item, (*key, part)) for part, item in parts)), None)
