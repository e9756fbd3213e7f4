"""How a study's runs are divided equally among the values of one choice: `study.budget_per`.

Each value has a share of `study.trials`, in full runs' worth. A value of few settings gets as many runs
as it has settings, and what it leaves goes to the others. A setting that cannot be trained costs its
own value a whole run, so a method that fails spends its own share and nobody else's.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afdcd.config import Source, UserError
from afdcd.search.space import Choice, Range
from afdcd.search.spent import ROUNDING, cost_of

if TYPE_CHECKING:
    from afdcd.search.rows import Entry

Label = str | int | float | bool
KEY = ("study", "budget_per")


@dataclass(frozen=True)
class Division:
    """The choice that a study's runs are divided by.

    Attributes:
        key: as a configuration has it, `distiller.method` for example.
        path: of the choice in the search space, `distiller` for example.
        sizes: how many settings the space has with each value; inf where a range has no steps.
    """

    key: str
    path: str
    sizes: Mapping[Label, float]

    def shares(self, trials: int) -> dict[Label, float]:
        """Full runs' worth of each value: equal, but for those that have fewer settings."""
        left, found = float(trials), {}
        for place, value in enumerate(sorted(self.sizes, key=self.sizes.__getitem__)):
            found[value] = min(self.sizes[value], left / (len(self.sizes) - place))
            left -= found[value]
        return {value: found[value] for value in self.sizes}

    def received(self, entries: Iterable["Entry"]) -> dict[Label, float]:
        """What each value has had of its share so far."""
        found: dict[Label, float] = dict.fromkeys(self.sizes, 0.0)
        for entry in entries:
            value = value_of(entry, self.key)
            if entry.is_paid and entry.outcome != "lost" and value in found:
                found[value] += 1.0 if entry.outcome == "infeasible" else cost_of(entry)
        return found

    def left(self, trials: int, entries: Iterable["Entry"]) -> dict[Label, int]:
        """How many whole runs each value can still begin."""
        shares, received = self.shares(trials), self.received(entries)
        return {v: max(0, int(shares[v] - received[v] + ROUNDING)) for v in self.sizes}

    def turns(self, trials: int, entries: Iterable["Entry"]) -> list[Label]:
        """The values whose share pays for another run; the one that has had least comes first."""
        known = list(entries)
        received, left = self.received(known), self.left(trials, known)
        return sorted((v for v in self.sizes if left[v]), key=received.__getitem__)

    def own(self, entries: Iterable["Entry"], value: Label) -> list["Entry"]:
        """The rows of one value."""
        return [e for e in entries if value_of(e, self.key) == value]


def division_of(space: Mapping[str, Any], key: str, source: Source) -> Division:
    """How the runs of a space are divided by `key`.

    Raises:
        UserError: no choice of this space has that key; names those that have one.
    """
    choices = dict(_choices(space, ""))
    if key not in choices:
        listed = f"write {' or '.join(choices)}" if choices else "write one: {choice: [...]}"
        raise UserError(
            f"{source.at(KEY)}: {key!r} is no choice of this space that every run makes; {listed}, or "
            "remove it"
        )
    path, choice = choices[key]
    sizes = {label: settings_in(narrowed(space, path, label)) for label in choice.labels}
    return Division(key, path, sizes)


def narrowed(space: Any, path: str, value: Label) -> Any:
    """The space with one value of a choice only."""
    head, _, rest = path.partition(".")
    inside = space[head]
    if rest:
        return {**space, head: narrowed(inside, rest, value)}
    return {**space, head: Choice((value,), (inside.option(value),))}


def settings_in(space: Any) -> float:
    """How many settings a space has; inf where a range has no steps."""
    if isinstance(space, Range):
        return (space.high - space.low) // space.step + 1 if space.kind == "int" else math.inf
    if isinstance(space, Choice):
        return sum(map(settings_in, space.options))
    if not isinstance(space, dict | list):
        return 1.0
    return math.prod(map(settings_in, space.values() if isinstance(space, dict) else space))


def value_of(entry: "Entry", key: str) -> Any:
    """What a row runs under a key of its configuration; None where its driver died too early to say."""
    if entry.setting is not None:
        return value_in(entry.setting, key)
    known = {**(entry.asked or {}), **entry.searched}
    return known.get(key, known.get(key.rpartition(".")[0]))


def value_in(setting: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key in plain values."""
    found: Any = setting
    for part in key.split("."):
        found = found[part]
    return found


def _choices(space: Any, path: str) -> Iterable[tuple[str, tuple[str, Choice]]]:
    """By key of a configuration: path and choice of all that lie in no option of another one."""
    if isinstance(space, Choice):
        if all(isinstance(option, Label) for option in space.options):
            yield path, (path, space)
        elif part := _told_by(space):
            yield f"{path}.{part}", (path, space)
    elif isinstance(space, dict):
        for name, item in space.items():
            yield from _choices(item, f"{path}.{name}" if path else str(name))


def _told_by(choice: Choice) -> str:
    """The key by which the blocks of a choice are named; empty where no single key tells them apart."""
    blocks = [option for option in choice.options if isinstance(option, dict)]
    if len(blocks) < len(choice.options):
        return ""
    told = (n for n in blocks[0] if [b.get(n) for b in blocks] == list(choice.labels))
    return next(told, "")
