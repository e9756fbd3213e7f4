"""What a study has spent of its trials, in full runs' worth."""

from collections.abc import Iterable

from afdcd.search.rows import Entry

ROUNDING = 1e-9  # shares of a run are sums of fractions


def full_runs(entries: Iterable[Entry]) -> float:
    """A run that goes on costs a whole one, others what they reached; lost ones, seeds and proofs nothing."""
    return sum(_cost(e) for e in entries if e.outcome != "lost" and e.is_searched)


def affordable(trials: int, entries: Iterable[Entry]) -> int:
    """How many runs can be paid to their end with what is left."""
    return max(0, int(trials - full_runs(entries) + ROUNDING))


def _cost(entry: Entry) -> float:
    return 1.0 if entry.outcome in (None, "completed") else entry.share
