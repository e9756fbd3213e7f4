"""From what a training program saved to one state dict: wrappers come off one by one, each named."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from afdcd.config import UserError
from afdcd.models.checkpoints.pickles import printable

Weights = Literal["ema", "raw"]

EMA = {"ema", "model_ema", "ema_model", "state_dict_ema", "ema_state_dict", "ema_state"}
RAW = {
    *("state_dict", "model", "model_state", "model_state_dict", "net", "network", "weights"),
    *("module", "params", "online_model"),
}
ROLES = {"student", "teacher"}
PREFIXES = EMA | {"module", "_orig_mod", "model", "net", "network", "online_model"} | ROLES
# Dicts of tensors that are no weights, by the words in their names.
NO_WEIGHTS = re.compile(r"optim|sched|scaler|callback|hyper|message_hub|^meta$|^loops$|^args$")
_DEEPEST = 8  # a dict in a file may hold itself
# What stands beside a network in a state dict, and is no part of it.
BESIDE = re.compile(
    r"criterion\w*|loss\w*|\w+_loss|metrics?|\w+_metrics?|(train|val|test)_\w+|n_averaged|steps"
)


@dataclass
class Unwrapped:
    """The weights, and what was done to come to them.

    Attributes:
        tensors: by their names in the network.
        removed: what was taken off, from the outside in.
        left_out: what lay beside the weights.
        notes: choices that were made, and how to make the other one.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def unwrap(
    content: object, path: Path, *, weights: Weights | None = None, part: str | None = None
) -> Unwrapped:
    """The one state dict in what a checkpoint holds.

    Args:
        weights: which to take where raw weights and their running average are there; None: the average.
        part: which of several networks, by the name that it has in the file.

    Raises:
        UserError: no tensors, or several networks and no `part`.
    """
    choice = _Choice(path, weights, part)
    taken = Unwrapped()
    inner = _inner_dict(content, choice, taken)
    tensors = {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}
    taken.left_out += [str(key) for key in inner if str(key) not in tensors]
    if not tensors:
        raise UserError(f"{path}: holds no tensors by name; {_whole(content)}")
    taken.tensors = _without_prefixes(tensors, choice, taken)
    if part is not None and not choice.part_found:
        raise UserError(f"{path}: has no part {part!r}; leave out --part, or correct it")
    if weights is not None and not taken.notes:
        raise UserError(f"{path}: holds one set of weights, not ema and raw; leave out --weights")
    return taken


def _whole(content: object) -> str:
    return f"what it holds is a {type(content).__name__}; save the network's state_dict()"


@dataclass
class _Choice:
    path: Path
    weights: Weights | None
    part: str | None
    part_found: bool = False

    def among(self, names: Collection[str], content: Mapping, taken: Unwrapped) -> str:
        """The name to take, of dicts or of prefixes."""
        if self.part in names:
            self.part_found = True
            return str(self.part)
        averaged, raw = EMA.intersection(names), RAW.intersection(names)
        known = averaged | raw | ROLES.intersection(names)
        if len(averaged) == len(raw) == 1 and len(known) == 2:
            return self._of_two(averaged.pop(), raw.pop(), content, taken)
        only = known or set(names)
        if len(only) == 1:
            return only.pop()
        listed = ", ".join(sorted(map(printable, only)))
        raise UserError(f"{self.path}: holds several networks: {listed}; choose one: --part NAME")

    def _of_two(self, averaged: str, raw: str, content: Mapping, taken: Unwrapped) -> str:
        if _from_mmengine(content):
            # open-mmlab/mmengine, hooks/ema_hook.py: the two change places when they are saved.
            averaged, raw = raw, averaged
        names: dict[Weights, str] = {"ema": averaged, "raw": raw}
        chosen: Weights = self.weights or "ema"
        other: Weights = "raw" if chosen == "ema" else "ema"
        taken.notes.append(
            f"{chosen} ({names[chosen]!r}) taken; {other} ({names[other]!r}) is there, too: "
            f"--weights {other}"
        )
        return names[chosen]


def _from_mmengine(content: Mapping) -> bool:
    meta = content.get("meta")
    return "message_hub" in content or (isinstance(meta, Mapping) and "mmengine_version" in meta)


def _inner_dict(content: object, choice: _Choice, taken: Unwrapped) -> Mapping:
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        inside = [key for key, value in content.items() if _is_network(key, value)]
        names = any(isinstance(value, Tensor) and "." in str(key) for key, value in content.items())
        if names or not inside:
            return content
        name = choice.among(inside, content, taken)
        taken.removed.append(repr(printable(name)))
        taken.left_out += [str(key) for key in content if key != name]
        content = content[name]
    raise UserError(f"{choice.path}: holds no tensors by name; {_whole(content)}")


def _is_network(key: object, value: object) -> bool:
    return (
        isinstance(key, str)
        and not (NO_WEIGHTS.search(key) or BESIDE.fullmatch(key))
        and _holds_weights(value)
    )


def _holds_weights(value: object, depth: int = 3) -> bool:
    if not isinstance(value, Mapping) or "param_groups" in value or depth == 0:
        return False
    return any(
        (isinstance(key, str) and isinstance(inner, Tensor) and inner.dim() > 0)
        or _holds_weights(inner, depth - 1)
        for key, inner in value.items()
    )


def _without_prefixes(
    tensors: dict[str, Tensor], choice: _Choice, taken: Unwrapped
) -> dict[str, Tensor]:
    while True:
        tensors = _of_flat_average(tensors, choice, taken)
        tops = {key.partition(".")[0] for key in tensors}
        wrappers = tops & PREFIXES
        beside = {top for top in tops - wrappers if BESIDE.fullmatch(top)}
        if not wrappers or tops - wrappers - beside or wrappers & tensors.keys():
            return _without_inner_compile(tensors, taken)
        name = choice.among(wrappers, {}, taken)
        taken.removed.append(f"prefix {name + '.'!r}")
        taken.left_out += sorted(f"{top}.*" for top in tops - {name})
        tensors = {k.removeprefix(f"{name}."): v for k, v in tensors.items() if _under(k, name)}


def _under(key: str, prefix: str) -> bool:
    return key.startswith(f"{prefix}.")


def _without_inner_compile(tensors: dict[str, Tensor], taken: Unwrapped) -> dict[str, Tensor]:
    """A part of a network that was compiled has the prefix within."""
    if not any("._orig_mod." in key for key in tensors):
        return tensors
    taken.removed.append("'_orig_mod.' within names")
    return {key.replace("._orig_mod.", "."): value for key, value in tensors.items()}


def _of_flat_average(
    tensors: dict[str, Tensor], choice: _Choice, taken: Unwrapped
) -> dict[str, Tensor]:
    """One of two sets of keys, of which one begins with `ema_`; mmcv writes `_` there for each dot."""
    averaged = {k for k in tensors if k.startswith("ema_") and k.partition(".")[0] not in EMA}
    raw = {key: value for key, value in tensors.items() if key not in averaged}
    if not averaged or not raw:
        return tensors
    names = {f"ema_{key.replace('.', '_')}": key for key in raw} | {f"ema_{k}": k for k in raw}
    if not averaged <= names.keys():
        return tensors
    if choice.weights == "raw":
        taken.notes.append("raw taken; the keys that begin with 'ema_' left out: --weights ema")
        return raw
    taken.notes.append(
        "ema (keys that begin with 'ema_') taken, the rest from the raw weights: --weights raw; "
        "mmcv swaps the two around a validation: score both"
    )
    return raw | {names[key]: tensors[key] for key in averaged}
