"""Who proposes what is run next: `study.sampler`.

A proposal is a function of the study's rows, its seed and the number of the row that it will be, so
that a new driver goes on as the old one would have.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any, Protocol

import numpy as np
import optuna

from afdcd.search.config import SamplerName
from afdcd.search.policy.feasible import log_feasible
from afdcd.search.policy.grid import MOST, Grid
from afdcd.search.policy.model import FEW, Model, fitted_to
from afdcd.search.policy.points import Array, Points
from afdcd.search.policy.proposal import FADES, Published, candidates, log_improvement
from afdcd.search.policy.tried import Parameters, Reader, Tried
from afdcd.search.policy.warm import Observation, warmed
from afdcd.search.rows import Entry, ranked
from afdcd.search.spent import ROUNDING, full_runs
from afdcd.seeds import derive

Taken = set[frozenset[tuple[str, Any]]]  # settings that ran or run, as `Entry.key` has them

FIRST_WIDTH = 0.2  # of a range, around what is published, while there is no model
DRAWS = 50  # times that a setting is drawn anywhere before the space is gone through in order
SOUND = 0.25  # part of its length after which a run counts as one that trains
LISTED = 1000  # points of a space that are all looked at
SCARCE = 40  # runs below which all are spent on new settings: measured, a further seed gains nothing there
SHARE, LATEST = 20, 4  # one run in so many may settle the choice at the end; so many at most


@dataclass(frozen=True)
class Wish:
    """A setting to run, by path, and why; with what the model expects of it, if there is one.

    Attributes:
        repeats: the trial that this would be a further seed of.
    """

    values: dict[str, Any]
    why: str
    expected: float | None = None
    deviation: float | None = None
    repeats: int | None = None

    def note(self) -> dict[str, Any]:
        """For the row, so that a person can see why it was run."""
        said = {k: v for k, v in asdict(self).items() if k != "values" and v is not None}
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in said.items()}


class Sampler(Protocol):
    """What a study asks for settings."""

    def propose(self, number: int, entries: Sequence[Entry], taken: Taken) -> Wish | None:
        """The setting of row `number`; None if all that the space holds is taken."""

    def completed(self, number: int, asked: dict[str, Any]) -> dict[str, Any]:
        """Values for row `number`, of which a person gave some."""

    def unsure(self, entries: Sequence[Entry], left: int) -> Entry | None:
        """The trial of which a further seed is worth more than a new setting; None nearly always.

        Args:
            left: how many runs can still be paid, with the one to come.
        """

    def ranked(self, entries: Sequence[Entry]) -> list[Entry]:
        """The trials that came to their end, best first."""


class Optuna:
    """Leaves it to the sampler of the Optuna study: TPE."""

    def __init__(self, *, maximise: bool) -> None:
        self._maximise = maximise

    def propose(self, number: int, entries: Sequence[Entry], taken: Taken) -> Wish | None:
        return Wish({}, "tpe")

    def unsure(self, entries: Sequence[Entry], left: int) -> Entry | None:
        return None

    def completed(self, number: int, asked: dict[str, Any]) -> dict[str, Any]:
        return asked

    def ranked(self, entries: Sequence[Entry]) -> list[Entry]:
        return ranked(entries, maximise=self._maximise)


class Random:
    """Draws anywhere in the space."""

    why = "random"

    def __init__(self, points: Points, seed: int, *, maximise: bool) -> None:
        self.points, self._seed, self._maximise = points, seed, maximise
        self.grid = Grid(points)

    def propose(self, number: int, entries: Sequence[Entry], taken: Taken) -> Wish | None:
        drawn = self.points.draw(self.rng(number), DRAWS, self._anywhere)
        return self.fresh(drawn, taken, self.why) or self.rest(taken)

    def unsure(self, entries: Sequence[Entry], left: int) -> Entry | None:
        return None  # it chooses by the highest score, whatever further seeds say

    def completed(self, number: int, asked: dict[str, Any]) -> dict[str, Any]:
        fixed = self._anywhere.copy()
        for at, column in enumerate(self.points.columns):
            if column.node.holds(asked.get(column.path)):
                fixed[at] = column.number(asked[column.path])
        drawn = self.points.draw(self.rng(number), 1, fixed)[0]
        return {**self.points.values(drawn), **asked}

    def ranked(self, entries: Sequence[Entry]) -> list[Entry]:
        return ranked(entries, maximise=self._maximise)

    def rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng(derive(self._seed, "proposal", number))

    def fresh(self, rows: Iterable[Array], taken: Taken, why: str) -> Wish | None:
        """The first of some settings that neither ran nor runs."""
        settings = (self.points.values(row) for row in rows)
        return next((Wish(v, why) for v in settings if frozenset(v.items()) not in taken), None)

    def rest(self, taken: Taken) -> Wish | None:
        """What is left of a finite space, in an order of the study's own."""
        size = self.grid.size or 0
        order = np.random.default_rng(self._seed).permutation(size if size <= MOST else 0)
        return self.fresh(map(self.grid.row, order), taken, self.why)

    @property
    def _anywhere(self) -> Array:
        return np.full(len(self.points.columns), np.nan)


class InGrid(Random):
    """Goes through all points of a finite space."""

    why = "grid"

    def propose(self, number: int, entries: Sequence[Entry], taken: Taken) -> Wish | None:
        return self.rest(taken)


class ByModel(Random):
    """Runs what promises most by a Gaussian process; near what is published while there is none."""

    def __init__(
        self,
        points: Points,
        seed: int,
        parameters: Parameters,
        *,
        maximise: bool,
        warm: Sequence[Observation] = (),
    ) -> None:
        super().__init__(points, seed, maximise=maximise)
        self._warm = warm
        self.model, self._reader = Model(points), Reader(points, parameters, maximise=maximise)
        self._sign = 1 if maximise else -1

    def propose(self, number: int, entries: Sequence[Entry], taken: Taken) -> Wish | None:
        tried = warmed(self._reader.read(entries), self.points, self._warm)
        rng = self.rng(number)
        found = self._first if len(tried.scored) < FEW else self._best
        return found(tried, rng, taken) or self.rest(taken)

    def unsure(self, entries: Sequence[Entry], left: int) -> Entry | None:
        """In the last runs, if the choice is in doubt: the rival with fewer runs, a reference first."""
        trials = ceil(full_runs(entries) + left - ROUNDING)  # a run that failed has cost a part
        if trials < SCARCE or left > min(trials // SHARE, LATEST):
            return None
        rivals = self.model.rivals(self._reader.read(entries))
        seeds = Counter(e.repeats for e in entries if not e.proves and e.outcome != "lost")
        return min(rivals, key=lambda e: seeds[e.first]) if rivals else None

    def ranked(self, entries: Sequence[Entry]) -> list[Entry]:
        return self.model.ranked(self._reader.read(entries))

    def _first(self, tried: Tried, rng: np.random.Generator, taken: Taken) -> Wish | None:
        """Near the published settings of any branch; anywhere in it if there are none."""
        published, branches = Published(self.points, tried), self.points.branches
        for at in rng.permutation(len(branches)):
            given = published.of(branches[at])
            if len(given):
                middle = given[rng.integers(0, len(given), DRAWS)]
                width = np.full(DRAWS, FIRST_WIDTH)
                rows = self.points.near(rng, middle, width, branches[at])
            else:
                rows = self.points.draw(rng, DRAWS, branches[at])
            if wish := self.fresh(rows, taken, "near published" if len(given) else "random"):
                return wish
        return None

    def _best(self, tried: Tried, rng: np.random.Generator, taken: Taken) -> Wish | None:
        believed, seen = self.model.posterior(tried), fitted_to(tried)
        likely = believed.mean(tried.encoded[seen])
        good = tried.rows[seen[np.argsort(-likely, kind="stable")]]
        published = Published(self.points, tried)
        small = self.grid.size is not None and self.grid.size <= LISTED
        rows = self.grid.rows if small else candidates(self.points, rng, good, published)
        encoded = self.points.encode(rows)
        mean, deviation = believed.at(encoded)
        worth = log_improvement(mean, deviation, likely.max())
        worth += FADES / (FADES + len(tried.entries)) * published.prior(rows)
        worth += self._log_feasible(tried, encoded)
        for at in np.argsort(-worth, kind="stable"):
            if wish := self.fresh(rows[at : at + 1], taken, "model"):
                expected = self._sign * mean[at] * tried.unit
                return replace(wish, expected=expected, deviation=deviation[at] * tried.unit)
        return None

    def _log_feasible(self, tried: Tried, encoded: Array) -> Array:
        failed = np.array([e.outcome == "infeasible" for e in tried.entries], bool)
        judged = np.flatnonzero(failed | np.array([e.share >= SOUND for e in tried.entries], bool))
        return log_feasible(tried.encoded[judged], failed[judged], encoded)


def tpe(seed: int) -> optuna.samplers.TPESampler:
    """Optuna's, as every study has it."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group=True`
    return optuna.samplers.TPESampler(
        seed=seed % 2**32, multivariate=True, group=True, constant_liar=True
    )


def sampler_of(
    name: SamplerName,
    space: Any,
    seed: int,
    parameters: Parameters,
    *,
    maximise: bool,
    warm: Sequence[Observation] = (),
) -> Sampler:
    """The sampler that `study.sampler` names; `warm` is what other studies found."""
    points = Points(space)
    if name == "gp":
        return ByModel(points, seed, parameters, maximise=maximise, warm=warm)
    if name == "tpe":
        return Optuna(maximise=maximise)
    return (Random if name == "random" else InGrid)(points, seed, maximise=maximise)
