"""Two state dicts side by side: keys and shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from afdcd.text import printable

_SHOWN = 3


@dataclass(frozen=True)
class Compared:
    """How far a state dict agrees with a network's.

    Attributes:
        missing: keys that the network has and the state dict lacks.
        extra: keys that the state dict has and the network lacks.
        shapes: keys of both with other shapes, with the two.
        shared: how many keys agree.
    """

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    shapes: tuple[str, ...]
    shared: int

    @property
    def exact(self) -> bool:
        return not (self.missing or self.extra or self.shapes)

    def lines(self) -> list[str]:
        """A line for each direction: how many keys, and the first of them."""
        told = (
            (self.missing, "that the network needs are missing"),
            (self.extra, "are not known to it"),
            (self.shapes, "have other shapes"),
        )
        return [f"{len(keys)} keys {said}: {_some(keys)}" for keys, said in told if keys]


def compare(ours: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Compared:
    both = [key for key in ours if key in given]
    shapes = tuple(
        f"{key} is {list(given[key].shape)}, needs {list(ours[key].shape)}"
        for key in both
        if given[key].shape != ours[key].shape
    )
    return Compared(
        missing=tuple(key for key in ours if key not in given),
        extra=tuple(key for key in given if key not in ours),
        shapes=shapes,
        shared=len(both) - len(shapes),
    )


def _some(keys: Sequence[str]) -> str:
    shown = ", ".join(printable(key, 110) for key in keys[:_SHOWN])
    return f"{shown}, ..." if len(keys) > _SHOWN else shown
