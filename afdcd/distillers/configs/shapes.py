"""What a method may know of its two networks before they are built."""

from collections.abc import Mapping
from dataclasses import dataclass

from afdcd.models.taps import Tap

ENCODER = "encoder"  # the last stage of the backbone; every network has it
HEAD = "head"  # the map before the classifier
LOGITS = "logits"
AUX = "aux"  # the auxiliary head's logits; not every network has one


@dataclass(frozen=True, slots=True)
class Needs:
    """The maps that a method reads, by their names in `PairShapes.taps`.

    The teacher computes no more than it must for these.
    """

    student: frozenset[str] = frozenset()
    teacher: frozenset[str] = frozenset()

    @classmethod
    def of_both(cls, *names: str) -> "Needs":
        return cls(frozenset(names), frozenset(names))

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(self.student | other.student, self.teacher | other.teacher)


@dataclass(frozen=True, slots=True)
class PairShapes:
    """What a method must know of its two networks to size its adapters.

    Attributes:
        taps: (student's, teacher's) of each map that both networks have; "logits" is one of them.
    """

    taps: Mapping[str, tuple[Tap, Tap]]
    classes: int

    def channels(self, tap: str) -> tuple[int, int]:
        """Of the student's map and of the teacher's."""
        student, teacher = self.taps[tap]
        return student.channels, teacher.channels

    def stride(self, tap: str) -> int:
        """Of the coarser of the two maps, on whose grid methods compare them."""
        return max(side.stride for side in self.taps[tap])

    def grid(self, tap: str, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the coarser map, for images with `size` rows and columns."""
        return max(self.taps[tap], key=lambda side: side.stride).grid(size)
