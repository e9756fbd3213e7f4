"""Which of several networks in a file is wanted, and how people call what wraps one."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from afdcd.config import UserError
from afdcd.text import printable

Weights = Literal["ema", "raw"]

EMA = {"ema", "model_ema", "ema_model", "state_dict_ema", "ema_state_dict", "ema_state"}
RAW = {
    *("state_dict", "model", "model_state", "model_state_dict", "net", "network", "weights"),
    *("module", "params", "online_model"),
}
ROLES = {"student", "teacher"}
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


@dataclass
class Choice:
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
        listed = ", ".join(sorted(printable(name, 80) for name in only))
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
