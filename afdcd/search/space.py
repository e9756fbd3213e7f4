"""A search space: a TrialConfig in which any leaf, or a whole block, may be a range.

    distiller:
      choice:
        - {method: none}
        - {method: afdcd, tau: {log: [0.05, 1.0]}, groups: {choice: [8, 16]}}

Ranges are `{uniform: [a, b]}`, `{log: [a, b]}`, `{int: [a, b], step: s}` and `{choice: [...]}`.
What lies inside a chosen block is conditional: it is a parameter of that block alone.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afdcd.config import Key, Source, UserError
from afdcd.distillers.configs import METHODS
from afdcd.distillers.configs.presets import pinned

if TYPE_CHECKING:
    import optuna

SEED = "training.seed"  # the path that no space searches, and a reference may give nevertheless
KINDS = ("uniform", "log", "int", "choice")


@dataclass(frozen=True)
class Range:
    """A number between two ends, both included."""

    kind: str
    low: float
    high: float
    step: int = 1

    def suggest(self, trial: "optuna.Trial", name: str) -> float:
        if self.kind == "int":
            return trial.suggest_int(name, int(self.low), int(self.high), step=self.step)
        return trial.suggest_float(name, self.low, self.high, log=self.kind == "log")

    def holds(self, value: Any) -> bool:
        if self.kind == "int":
            return type(value) is int and value in range(
                int(self.low), int(self.high) + 1, self.step
            )
        return type(value) in (int, float) and self.low <= value <= self.high

    def __str__(self) -> str:
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        return f"{self.kind} [{self.low}, {self.high}]{steps}"


@dataclass(frozen=True)
class Choice:
    """One of several values or blocks; Optuna sees the labels."""

    labels: tuple[str | int | float | bool, ...]
    options: tuple[Any, ...]

    def holds(self, label: Any) -> bool:
        return label in self.labels

    def option(self, label: Any) -> Any:
        return self.options[self.labels.index(label)]


Pick = Callable[[str, Range | Choice], Any]


def without_seed(reference: dict[str, Any]) -> dict[str, Any]:
    """The setting that a reference asks for, whatever its seed."""
    return {path: value for path, value in reference.items() if path != SEED}


def parse_ranges(values: Any, source: Source, key: Key = ()) -> Any:
    """Replace every `{kind: ...}` mapping by a Range or Choice; all else stays as it is.

    Raises:
        UserError: ends that are no numbers or in the wrong order, an empty or repeated choice.
    """
    if isinstance(values, list):
        return [parse_ranges(item, source, (*key, index)) for index, item in enumerate(values)]
    if not isinstance(values, dict):
        return values
    kinds = [kind for kind in KINDS if kind in values]
    if not kinds:
        return {name: parse_ranges(item, source, (*key, name)) for name, item in values.items()}
    kind = kinds[0]
    extra = set(values) - {kind} - ({"step"} if kind == "int" else set())
    if extra:
        raise UserError(
            f"{source.at(key)}: a {kind} range takes no {', '.join(sorted(map(str, extra)))}; "
            f"write {{{kind}: [low, high]}} alone; to fix what is searched, replace all of it"
        )
    return (_choice if kind == "choice" else _range)(kind, values, source, key)


def _range(kind: str, values: dict[str, Any], source: Source, key: Key) -> Range:
    ends = values[kind]
    numbers = (int,) if kind == "int" else (int, float)
    fits = isinstance(ends, list) and len(ends) == 2 and all(type(e) in numbers for e in ends)
    if not fits or not all(map(math.isfinite, ends)):
        what = "whole numbers" if kind == "int" else "numbers"
        raise UserError(f"{source.at(key)}: {kind} takes two {what}, e.g. {{{kind}: [1, 8]}}")
    low, high = ends
    if low >= high:
        raise UserError(f"{source.at(key)}: {kind} [{low}, {high}] must rise from left to right")
    if kind == "log" and low <= 0:
        raise UserError(f"{source.at(key)}: log [{low}, {high}] needs ends above 0")
    step = values.get("step", 1)
    if type(step) is not int or step < 1 or (kind == "int" and (high - low) % step):
        raise UserError(f"{source.at(key)}: step {step} must be a whole divisor of {high - low}")
    return Range(kind, low, high, step)


def _choice(kind: str, values: dict[str, Any], source: Source, key: Key) -> Choice:
    options = values[kind]
    if not isinstance(options, list) or not options:
        raise UserError(f"{source.at(key)}: choice takes a list of one or more values")
    labels = _labels(options)
    if len(set(map(repr, labels))) < len(labels):
        raise UserError(f"{source.at(key)}: choice holds the same option twice")
    parsed = parse_ranges(options, source, (*key, kind))
    return Choice(tuple(labels), tuple(parsed))


def _labels(options: list[Any]) -> list[Any]:
    """Scalars stand for themselves; a block is named by the first key that tells all blocks apart."""
    if all(isinstance(option, str | int | float | bool) for option in options):
        return options
    blocks = [option for option in options if isinstance(option, dict)]
    if len(blocks) == len(options):
        for name in blocks[0]:
            named = [block.get(name) for block in blocks]
            if all(isinstance(n, str | int | float) for n in named) and len(set(named)) == len(
                named
            ):
                return named
    return [json.dumps(option, sort_keys=True) for option in options]


def resolve(
    space: Any,
    pick: Pick,
    name: str = "",
    key: Key = (),
    written: Key = (),
    places: dict[Key, Key] | None = None,
) -> Any:
    """Plain config values, with every range replaced by what `pick(parameter name, range)` says.

    Args:
        places: filled with config key -> key as written in the file, for errors that name a line.
    """
    if places is not None:
        places[key] = written
    if isinstance(space, Choice):
        label = pick(name, space)
        written = (*written, "choice", space.labels.index(label))
        # Ranges inside an option are parameters of that option alone.
        return resolve(space.option(label), pick, f"{name}.{label}", key, written, places)
    if isinstance(space, Range):
        return pick(name, space)
    if not isinstance(space, dict | list):
        return space
    items = space.items() if isinstance(space, dict) else enumerate(space)
    prefix = f"{name}." if name else ""
    parts = {
        part: resolve(item, pick, f"{prefix}{part}", (*key, part), (*written, part), places)
        for part, item in items
    }
    return parts if isinstance(space, dict) else list(parts.values())


def nodes(space: Any, name: str = "") -> Iterator[tuple[str, Range | Choice]]:
    """Every range and choice of a space under its parameter name, those inside options too."""
    if isinstance(space, Range):
        yield name, space
    elif isinstance(space, Choice):
        yield name, space
        for label, option in zip(space.labels, space.options, strict=True):
            yield from nodes(option, f"{name}.{label}")
    elif isinstance(space, dict | list):
        items = space.items() if isinstance(space, dict) else enumerate(space)
        for part, item in items:
            yield from nodes(item, f"{name}.{part}" if name else str(part))


def corners(space: Any) -> Iterator[tuple[dict[str, Any], dict[Key, Key]]]:
    """Configurations that together visit both ends of every range and every option.

    All parameters low, all high, then each parameter's every end alone, reaching into every
    option. Yields each configuration, and its keys as they are written in the file.
    """
    seen: set[str] = set()
    for side in (0, -1):
        met: set[str] = set()
        queue: list[dict[str, Any]] = [{}]
        while queue:
            visit = _Corner(side, queue.pop(0), met, queue)
            places: dict[Key, Key] = {}
            config = resolve(space, visit.pick, places=places)
            text = json.dumps(visit.picked, sort_keys=True)
            if text not in seen:
                seen.add(text)
                yield config, places


@dataclass
class _Corner:
    """Picks one end everywhere but where told otherwise; queues every end of what it meets first."""

    side: int
    forced: dict[str, Any]
    met: set[str]
    queue: list[dict[str, Any]]
    picked: dict[str, Any] = field(default_factory=dict)

    def pick(self, name: str, node: Range | Choice) -> Any:
        both = ends(node)
        if name not in self.met:
            self.met.add(name)
            self.queue.extend({**self.forced, name: end} for end in both)
        self.picked[name] = self.forced.get(name, both[self.side])
        return self.picked[name]


def ends(node: Range | Choice) -> list[Any]:
    """What lies at the ends of a range; all options of a choice."""
    if isinstance(node, Choice):
        return list(node.labels)
    return [int(node.low), int(node.high)] if node.kind == "int" else [node.low, node.high]


def parameters_of(space: Any, block: Any, source: Source, key: Key) -> dict[str, Any]:
    """The Optuna parameters that a partial config (as in `study.enqueue`) pins down.

    Raises:
        UserError: a value outside its range, an option that is not among the choices, or a value
            for something that this space does not search.
    """
    found: dict[str, Any] = {}
    _match(space, block, "", found, source, key)
    return found


def _match(space: Any, block: Any, name: str, found: dict, source: Source, key: Key) -> None:
    if isinstance(space, Range):
        if not space.holds(block):
            raise UserError(f"{source.at(key)}: {block!r} is outside {space}")
        found[name] = block
    elif isinstance(space, Choice):
        label = _chosen(space, block, source, key)
        found[name] = label
        option = space.option(label)
        if isinstance(option, dict | Range):
            _match(option, block, f"{name}.{label}", found, source, key)
    elif isinstance(space, dict) and isinstance(block, dict):
        for part, item in _without_preset(space, block, source, key).items():
            if part not in space:
                raise UserError(f"{source.at((*key, part))}: not in this search space; remove it")
            child = f"{name}.{part}" if name else part
            _match(space[part], item, child, found, source, (*key, part))
    elif space != block:
        raise UserError(f"{source.at(key)}: this space fixes {name} to {space!r}; remove it")


def _without_preset(space: dict, block: dict, source: Source, key: Key) -> dict[str, Any]:
    """A preset pins what is searched; left in place, it would leave that to the sampler."""
    method = METHODS.get(str(block.get("method", space.get("method"))))
    if "preset" not in block or method is None:
        return block
    try:
        return pinned(method.PRESETS, method.defaults(), block, space, (Range, Choice))
    except ValueError as error:
        raise UserError(f"{source.at((*key, 'preset'))}: {error}") from None


def _chosen(choice: Choice, block: Any, source: Source, key: Key) -> Any:
    for label, option in zip(choice.labels, choice.options, strict=True):
        if option == block or (isinstance(option, Range) and option.holds(block)):
            return label
        if isinstance(block, dict) and isinstance(option, dict) and label in block.values():
            return label
    raise UserError(f"{source.at(key)}: {block!r} is not one of {list(choice.labels)}")
