"""What a study has spent of its trials, in full runs' worth."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afdcd.search.rows import Entry

ROUNDING = 1e-9  # shares of a run are sums of fractions


def full_runs(entries: Iterable["Entry"]) -> float:
    """A run that goes on costs a whole one, others what they reached.

    Lost ones and proofs cost nothing, and neither do further seeds that a person asked for.
    """
    return sum(cost_of(e) for e in entries if e.outcome != "lost" and e.is_paid)


def affordable(trials: int, entries: Iterable["Entry"]) -> int:
    """How many runs can be paid to their end with what is left."""
    return max(0, int(trials - full_runs(entries) + ROUNDING))


def cost_of(entry: "Entry") -> float:
    """Of one run of the search."""
    return 1.0 if entry.outcome in (None, "completed") else entry.share
