"""The most expensive settings of a search space: of each pair and method, the one that needs most."""

from collections.abc import Callable, Iterator
from typing import Any

from afdcd.config import UserError, validate
from afdcd.search.load import SearchSpace
from afdcd.search.membership import parameters_in
from afdcd.search.space import Choice, Range, ends, nodes, resolve
from afdcd.training.trial import TrialConfig

Need = Callable[[TrialConfig], tuple[float, ...]]  # what matters most comes first
Kind = tuple[str, str]  # pair and method


def kind_of(config: TrialConfig) -> Kind:
    return config.pair.label, config.distiller.method


def dearest(space: SearchSpace, need: Need) -> list[TrialConfig]:
    """One setting of each pair and method, in the order in which the file has them."""
    found: dict[Kind, TrialConfig] = {}
    for example in space.examples:
        known = found.setdefault(kind_of(example), example)
        if need(example) > need(known):
            found[kind_of(example)] = example
    return [_climbed(space, config, need) for config in found.values()]


def _climbed(space: SearchSpace, best: TrialConfig, need: Need) -> TrialConfig:
    """Each parameter in turn at the end that needs more; examples have few at an end together."""
    for name, node in nodes(space.space):
        for neighbour in _neighbours(space, best, name, ends(node)):
            if kind_of(neighbour) == kind_of(best) and need(neighbour) > need(best):
                best = neighbour
    return best


def _neighbours(
    space: SearchSpace, config: TrialConfig, name: str, values: list[Any]
) -> Iterator[TrialConfig]:
    picked = next(parameters_in(space.space, config.plain()), {})
    for value in values if name in picked else ():
        try:
            yield validate(TrialConfig, _resolved(space, {**picked, name: value}))
        except UserError:
            continue  # does not go together with the rest


def _resolved(space: SearchSpace, picked: dict[str, Any]) -> Any:
    def pick(name: str, node: Range | Choice) -> Any:
        return picked.get(name, ends(node)[-1])

    return resolve(space.space, pick)
