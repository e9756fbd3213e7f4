"""What runs of one study have agreed on: algorithms that are equal but for rounding.

Which is the fastest is measured, and a measurement depends on what else the machine does. So the
first run of a study that meets a case measures it, and all others take what it found.
"""

import hashlib
import json
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import nn

from afdcd import storage
from afdcd.distillers.algorithm import ALGORITHMS, Algorithm
from afdcd.distillers.projector import MaskedReconstruction


class Choices:
    """The choices in `folder` (path or URI), one small file for each case; a `Choose`.

    All ranks call it at the same time. The first one reads and writes.
    """

    def __init__(self, folder: str, rank: int = 0) -> None:
        self._folder, self._rank = folder, rank

    def __call__(self, case: str, measure: Callable[[], Algorithm]) -> Algorithm:
        name = hashlib.sha256(case.encode()).hexdigest()[:16]
        place = storage.join(self._folder, f"{name}.json")
        known = self._agreed(lambda: _read(place))
        if known:
            return known
        found = measure()
        return self._agreed(lambda: _first(place, case, found)) or found

    def _agreed(self, find: Callable[[], Algorithm | None]) -> Algorithm | None:
        """What the first rank finds, on all ranks."""
        found = [find() if self._rank == 0 else None]
        if dist.is_initialized():
            dist.broadcast_object_list(found, src=0)
        return found[0]


def reconstructions(distiller: nn.Module) -> list[MaskedReconstruction]:
    return [part for part in distiller.modules() if isinstance(part, MaskedReconstruction)]


def follow(choices: Choices, distiller: nn.Module, device: torch.device) -> None:
    """Let a study's runs on GPUs share a measurement. Those on a CPU round as their twins do."""
    for part in reconstructions(distiller):
        part.choose = choices if device.type == "cuda" else None


def _read(place: str) -> Algorithm | None:
    return _parsed(storage.read_bytes(place)) if storage.exists(place) else None


def _first(place: str, case: str, found: Algorithm) -> Algorithm | None:
    """Another run may have measured the same at the same time; the first to write it wins."""
    line = json.dumps({"case": case, "algorithm": found})
    return _parsed(storage.write_once(place, line.encode()))


def _parsed(content: bytes) -> Algorithm | None:
    """None of a file that somebody has damaged: then it is measured again."""
    try:
        named = json.loads(content)["algorithm"]
    except (ValueError, KeyError, TypeError):
        return None
    return named if named in ALGORITHMS[1:] else None
