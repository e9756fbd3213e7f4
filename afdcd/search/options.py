"""Spaces that may grow: which Optuna parameter stands for which range or choice.

Optuna refuses a categorical parameter whose options change, and a number where options were. So each
set of options of one choice is a parameter of its own: `distiller`, and after an option was added
`distiller#2`. The order in which a file lists the options makes no difference.
"""

import re
from collections.abc import Mapping
from typing import Any

from afdcd.search.space import Choice, Range, nodes, resolve

_LATER = re.compile(r"#\d+$")


class OptionSets:
    """What a study has searched under each path, oldest first.

    Args:
        known: path -> labels of each set of options, or "int" or "float" for a range; as `plain`
            gives it.
    """

    def __init__(self, known: Mapping[str, list[list[Any] | str]] | None = None) -> None:
        self._shapes = {path: list(shapes) for path, shapes in (known or {}).items()}

    def plain(self) -> dict[str, list[list[Any] | str]]:
        return self._shapes

    def learn(self, space: Any) -> None:
        """Note what a space searches; what is known already keeps its place."""
        for path, node in nodes(space):
            shapes = self._shapes.setdefault(path, [])
            if self._place(path, node) is None:
                shapes.append(_shape(node))

    def parameter(self, path: str, node: Range | Choice) -> str:
        """The name of the Optuna parameter."""
        place = self._place(path, node)
        if place is None:
            raise KeyError(f"{path}: a range or options that were never learnt")
        return path if place == 0 else f"{path}#{place + 1}"

    def suggest(self, space: Any, trial: Any) -> dict[str, Any]:
        """One configuration, asked of an Optuna trial parameter by parameter (define by run)."""

        def pick(path: str, node: Range | Choice) -> Any:
            name = self.parameter(path, node)
            if isinstance(node, Range):
                return node.suggest(trial, name)
            labels = self._shapes[path][self._place(path, node) or 0]  # in the order Optuna knows
            return trial.suggest_categorical(name, labels)

        return resolve(space, pick)

    def parameters(self, space: Any, pinned: Mapping[str, Any]) -> dict[str, Any]:
        """Values by path as Optuna's parameters of this space; without those it does not have."""
        return {
            self.parameter(path, node): pinned[path]
            for path, node in nodes(space)
            if path in pinned and node.holds(pinned[path])
        }

    def _place(self, path: str, node: Range | Choice) -> int | None:
        wanted = _comparable(_shape(node))
        known = [_comparable(shape) for shape in self._shapes.get(path, [])]
        return known.index(wanted) if wanted in known else None


def path_of(parameter: str) -> str:
    """The path of the choice or range that an Optuna parameter stands for."""
    return _LATER.sub("", parameter)


def _shape(node: Range | Choice) -> list[Any] | str:
    if isinstance(node, Choice):
        return list(node.labels)
    return "int" if node.kind == "int" else "float"


def _comparable(shape: list[Any] | str) -> Any:
    return shape if isinstance(shape, str) else sorted(map(repr, shape))
