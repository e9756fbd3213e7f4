"""A figure that is not known exactly."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """The likely value, and between which it lies."""

    low: float
    likely: float
    high: float

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def __mul__(self, factor: float) -> "Interval":
        return Interval(self.low * factor, self.likely * factor, self.high * factor)

    def __str__(self) -> str:
        return f"{_short(self.likely)} ({_short(self.low)} to {_short(self.high)})"

    @classmethod
    def exactly(cls, value: float) -> "Interval":
        return cls(value, value, value)

    @classmethod
    def around(cls, value: float, low: float, high: float) -> "Interval":
        """`low` and `high` as factors of the likely value."""
        return cls(low * value, value, high * value)


ZERO = Interval.exactly(0.0)


def mixture(parts: Iterable[Interval]) -> Interval:
    """One of several, nobody knows which: the mean, from the lowest low to the highest high."""
    found = list(parts)
    likely = sum(part.likely for part in found) / len(found)
    return Interval(min(p.low for p in found), likely, max(p.high for p in found))


def total(parts: Iterable[Interval]) -> Interval:
    return sum(parts, ZERO)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"
