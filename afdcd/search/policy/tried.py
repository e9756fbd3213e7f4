"""What a study has tried, as arrays for the model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afdcd.search.policy.points import Array, Points
from afdcd.search.policy.promise import promises
from afdcd.search.rows import Entry

Parameters = Callable[[Entry], dict[str, Any] | None]  # of a run, by path in the present space

POINT = 0.01  # differences of this size are expected where few scores say otherwise
WORTH = 4  # that expectation counts as so many scores
FLOOR = 3.0  # scores lie so many times as far below the middle as the best lies above it, or less


@dataclass(frozen=True)
class Tried:
    """Every run that stands for a trial or repeats one, an item each; but those of a proof.

    Attributes:
        rows: as `Points` gives them; `encoded` as the model takes them.
        scores: final ones, and what early ones promise, in the model's unit; higher is better.
            Not-a-number where a run has shown nothing yet, or failed.
        noise: variance of a score beside that between seeds: 0 at full length.
        finals: final scores, higher is better; not-a-number where there is none.
        unit: what one is in `finals`.
    """

    entries: list[Entry]
    rows: Array
    encoded: Array
    scores: Array
    noise: Array
    finals: Array
    unit: float

    @property
    def scored(self) -> Array:
        return np.flatnonzero(np.isfinite(self.scores))

    @property
    def waiting(self) -> Array:
        """Those that run and have shown nothing yet."""
        return np.flatnonzero([e.outcome is None and not e.curve for e in self.entries])

    @property
    def full(self) -> Array:
        """Those with a score at full length."""
        return np.flatnonzero(np.isfinite(self.finals))


class Reader:
    """Reads rows of the study; what a run's setting is as a row is worked out once."""

    def __init__(self, points: Points, parameters: Parameters, *, maximise: bool) -> None:
        self.points, self._parameters, self._sign = points, parameters, 1 if maximise else -1
        self._rows: dict[int, Array] = {}

    def read(self, entries: Sequence[Entry]) -> Tried:
        counted = [e for e in entries if e.outcome not in ("lost", "killed") and not e.proves]
        known = [(e, row) for e in counted if (row := self._row(e)) is not None]
        kept, rows = [e for e, _ in known], [row for _, row in known]
        table = np.array(rows).reshape(len(kept), len(self.points.columns))
        encoded = self.points.encode(table)
        finals = np.array([self._final(e) for e in kept], float)
        scores, noise, unit = self._scores(kept, finals, encoded[:, 0])
        return Tried(kept, table, encoded, scores, noise, finals, unit)

    def _row(self, entry: Entry) -> Array | None:
        if entry.number not in self._rows:
            values = self._parameters(entry)
            row = None if values is None else self.points.row(values)
            if row is None:
                return None
            self._rows[entry.number] = row
        return self._rows[entry.number]

    def _scores(
        self, entries: list[Entry], finals: Array, methods: Array
    ) -> tuple[Array, Array, float]:
        done = np.isfinite(finals)
        scores, noise = np.full(len(entries), np.nan), np.zeros(len(entries))
        scores[done], unit = tamed(finals[done])
        early = [i for i, e in enumerate(entries) if e.curve and e.outcome in (None, "paused")]
        if early:
            shown = np.flatnonzero(done)[-400:].tolist() + early
            curves = [self._curve(entries[i], unit) for i in shown]
            value, variance = promises(curves, scores[shown], methods[shown])
            if done.any():  # nothing is believed to end far from all that has ended
                value = np.clip(value, scores[done].min() - FLOOR, scores[done].max() + FLOOR)
            scores[early], noise[early] = value[-len(early) :], variance[-len(early) :]
        return scores, noise, unit

    def _final(self, entry: Entry) -> float:
        completed = entry.outcome == "completed" and entry.value is not None
        return self._sign * (entry.value or 0.0) if completed else np.nan

    def _curve(self, entry: Entry, unit: float) -> dict[float, float]:
        """Score after each share of the run's length."""
        length = entry.reached / entry.share
        return {at / length: self._sign * value / unit for at, value in entry.curve.items()}


def tamed(scores: Array) -> tuple[Array, float]:
    """Scores without the far end of their tail in a unit in which they differ by about one; the unit.

    One ruined run would else make all others look alike.
    """
    if not len(scores):
        return scores, POINT
    middle = np.median(scores)
    floor = middle - FLOOR * max(scores.max() - middle, POINT)
    scores = np.maximum(scores, floor)
    squares = ((scores - middle) ** 2).sum() + WORTH * POINT**2
    unit = float(np.sqrt(squares / (len(scores) + WORTH)))
    return scores / unit, unit
