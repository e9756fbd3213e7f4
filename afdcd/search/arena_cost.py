"""What each rival of a divided study has had of its share, and what it has cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from afdcd.search.division import Division
from afdcd.search.rows import Entry


@dataclass(frozen=True)
class RivalCost:
    """Of one rival.

    Attributes:
        received: full runs' worth of the search that it has had of `share`.
        searched: device-hours of the search, lost and failed work included; `proven` of the proof.
        runs: that completed, of search and proof.
        failed: that could not be trained, or were lost for good.
    """

    rival: str
    received: float
    share: float
    searched: float
    proven: float
    runs: int
    failed: int


def rival_costs(division: Division, trials: int, entries: Sequence[Entry]) -> list[RivalCost]:
    """Of every rival, by the ledger."""
    received, shares = division.received(entries), division.left(trials, [])
    return [
        _cost(value, received[value], shares[value], division.own(entries, value))
        for value in division.sizes
    ]


def _cost(value: object, received: float, share: float, own: Sequence[Entry]) -> RivalCost:
    return RivalCost(
        rival=str(value),
        received=received,
        share=share,
        searched=sum(e.device_hours for e in own if not e.proves),
        proven=sum(e.device_hours for e in own if e.proves),
        runs=sum(1 for e in own if e.outcome == "completed"),
        failed=sum(1 for e in own if e.outcome in ("infeasible", "lost")),
    )
