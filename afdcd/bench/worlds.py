"""Made-up search problems whose truth is known: surfaces, learning curves, noise and failures.

A world is a search space of real configurations, a true score for each of its settings, and what a
run of it would show. Scores are mIoU points here, and fractions of one where a study sees them.
"""

import math
import zlib
from dataclasses import dataclass

import numpy as np

from afdcd.bench.curves import SEED_NOISE, SHARES, VALIDATIONS, drop
from afdcd.bench.world_spaces import METHODS, space_of
from afdcd.search.policy.points import Array, Points
from afdcd.search.space import Choice

CRASHES = 0.02  # runs that end for no reason of the setting


@dataclass(frozen=True)
class Kind:
    """What makes a world what it is.

    Attributes:
        peaks: points that each method gains at its best; empty: drawn.
        published: height of the published settings: 1 is the best, 0 a typical random one.
        sharp: how narrow the peaks are.
        curve: how scores rise: a key of `curves.drop`, or "mixed".
        speed: how much settings differ in how fast they learn.
        slow_best: correlation of being good with learning slowly.
        noise: factor of all noise.
        diverge: part of the first range of afdcd at whose upper end runs diverge.
        cliff: where in that range the best lies.
    """

    methods: tuple[str, ...] = ("none", "kd", "afdcd")
    peaks: tuple[float, ...] = (0.0, 1.0, 3.0)
    published: float = 0.6
    sharp: float = 6.0
    curve: str = "power"
    speed: float = 0.2
    slow_best: float = 0.0
    method_speed: float = 0.1
    noise: float = 1.0
    diverge: float = 0.0
    cliff: float | None = None


KINDS = {
    "easy": Kind(),
    "slow": Kind(slow_best=0.85, speed=0.35, method_speed=0.2),  # the best learn slowly
    "late": Kind(curve="late", slow_best=0.4, speed=0.35),  # decided when the learning rate decays
    "overfit": Kind(curve="peak", speed=0.5, slow_best=-0.3),  # early leaders peak and fall again
    "plain": Kind(peaks=(0.0, -0.3, -0.2)),  # no distillation is best
    "cliff": Kind(diverge=0.33, cliff=0.6, published=0.4),  # the best lies beside what diverges
    "narrow": Kind(sharp=20.0, published=0.15, peaks=(0.0, 0.8, 4.0)),
    "small": Kind(peaks=(0.0, 2.5, 1.2), published=0.3),  # two parameters beat nine
    "published": Kind(published=0.97),  # nothing to find beyond what is published
    "noisy": Kind(noise=1.8, peaks=(0.0, 0.7, 1.6), curve="sigmoid"),
    "many": Kind(
        methods=tuple(METHODS),
        peaks=(),
        curve="mixed",
        speed=0.25,
        method_speed=0.3,
        slow_best=0.3,
        diverge=0.33,
        published=0.4,
    ),
}


class World:
    """One problem, drawn by its kind, a seed and how many pairs of networks there are."""

    def __init__(self, kind: str, seed: int, pairs: int) -> None:
        self.kind = KINDS[kind]
        self._seed = zlib.crc32(f"{kind}/{seed}/{pairs}".encode())
        rng = np.random.default_rng(self._seed)
        self.space = space_of(self.kind.methods, pairs)
        self.points = Points(self.space)
        self.families = [_Family(self, at, rng) for at in range(len(self.kind.methods))]
        self.level = 70 + (rng.normal(0, 1.2, pairs) if pairs > 1 else np.zeros(1))
        self.extra = rng.normal(0, 0.4, (pairs, len(self.families))) * (pairs > 1)
        self.shift = rng.normal(0, 0.06, (pairs, len(self.points.columns))) * (pairs > 1)
        tops = [self._top(rng, branch) for branch in self.points.branches]
        self.best = max(self.value(top) for top in tops)
        self.references = [self._published(rng, top) for top in tops]
        named = [self.family(row).name for row in self.references]
        values = [self.value(row) for row in self.references]
        self.plain = max(v for name, v in zip(named, values, strict=True) if name == "none")
        self.published = max(values)

    def family(self, row: Array) -> "_Family":
        assert self.points.method is not None
        return self.families[int(row[self.points.method])]

    def pair(self, row: Array) -> int:
        return int(row[self.points.pairs[0]]) if self.points.pairs else 0

    def value(self, row: Array) -> float:
        """The mean score over seeds, in points."""
        return float(self.values(row[None])[0])

    def values(self, rows: Array) -> Array:
        """Of rows of one branch."""
        family, pair = self.family(rows[0]), self.pair(rows[0])
        peak = family.peak + (self.extra[pair, family.at] if len(family.numbers) else 0.0)
        height = family.height(rows, self.shift[pair])
        return self.level[pair] + peak - max(peak, 1.5) * (1 - height)

    def run(self, row: Array, seed: int = 0) -> Array:
        """What a run shows at each validation, in points; not-a-number from where it diverged."""
        name = zlib.crc32(np.nan_to_num(row, nan=-1.0).tobytes())
        rng = np.random.default_rng([self._seed, name, seed])
        family, kind = self.family(row), self.kind
        height = family.height(row[None], self.shift[self.pair(row)])[0]
        lean = float(family.lean @ (row[family.numbers] - 0.5))
        slow = kind.slow_best * (height - 0.2) / 0.5
        slow += 1.2 * math.sqrt(1 - kind.slow_best**2) * lean
        factor = np.clip(family.speed + kind.speed * slow, -1, 1) + rng.normal(0, 0.05)
        noise = kind.noise * family.noise
        each = (0.15 + 0.8 * (1 - SHARES) ** 2) * rng.normal(size=VALIDATIONS)
        shown = self.value(row) - drop(family.curve, math.exp(factor))
        shown = shown + noise * (SEED_NOISE * rng.normal() + each)
        if family.diverges(row) and rng.random() < 0.95:
            shown[rng.integers(0, VALIDATIONS // 2) :] = np.nan
        elif rng.random() < CRASHES:
            shown[rng.integers(0, VALIDATIONS) :] = np.nan
        return shown

    def _top(self, rng: np.random.Generator, branch: Array) -> Array:
        """About the best setting of a branch that does not diverge."""
        rows = self.points.draw(rng, 1500, branch)
        for width in (0.15, 0.06, 0.03):
            rows = self._sound(rows)
            rows = rows[np.argsort(-self.values(rows))[:25]]
            around = np.repeat(rows, 20, axis=0)
            rows = np.vstack([rows, self._near(rng, around, width, branch)])
        rows = self._sound(rows)
        best: Array = rows[np.argmax(self.values(rows))]
        return best

    def _published(self, rng: np.random.Generator, top: Array) -> Array:
        """A sound setting around the best, about as high as published ones are in this world."""
        family, pair = self.family(top), self.pair(top)
        branch = np.where(np.isin(np.arange(len(top)), family.own), np.nan, top)
        widths = np.repeat([0.05, 0.15, 0.3], 300)
        rows = self._sound(self._near(rng, np.repeat(top[None], 900, axis=0), widths, branch))
        height = self.kind.published if self.kind.peaks else rng.uniform(0, 0.8)
        far = np.abs(family.height(rows, self.shift[pair]) - height)
        chosen: Array = rows[np.argmin(far)]
        return chosen

    def _near(
        self, rng: np.random.Generator, rows: Array, width: Array | float, branch: Array
    ) -> Array:
        return self.points.near(rng, rows, np.broadcast_to(width, len(rows)), branch)

    def _sound(self, rows: Array) -> Array:
        return rows[[not self.family(row).diverges(row) for row in rows]]


class _Family:
    """One method of a world: where its best lies and how its runs learn."""

    def __init__(self, world: World, at: int, rng: np.random.Generator) -> None:
        kind = world.kind
        self.at, self.name = at, kind.methods[at]
        columns = world.points.columns
        own = [i for i, c in enumerate(columns) if c.parent is not None and c.option == at]
        self.own = own = [i for i in own if columns[i].parent == world.points.method]
        self.numbers = [i for i in own if not isinstance(columns[i].node, Choice)]
        self.options = [i for i in own if isinstance(columns[i].node, Choice)]
        sizes, n = [columns[i].steps or 1 for i in self.options], len(self.numbers)
        drawn = 0.0 if self.name == "none" else rng.uniform(-0.5, 3.0)
        self.peak = kind.peaks[at] if kind.peaks else drawn
        self.edge = 1 - kind.diverge if self.name in ("afdcd", "contrast") else math.inf
        weights = rng.exponential(1, n) ** 1.5  # few parameters matter
        self._weights = weights / max(weights.sum(), 1e-9)
        self._best = rng.uniform(0.2, 0.8, n)
        if kind.cliff is not None and self.name == "afdcd":
            self._best[0] = kind.cliff
        self._mix = rng.normal(0, 0.5, n)
        self._penalty = [np.r_[0, rng.exponential(0.3, k - 1)][rng.permutation(k)] for k in sizes]
        self._moves = [rng.normal(0, 0.12, (k, n)) for k in sizes]  # an option moves the best
        self._waves, self._phase = rng.normal(0, 3, (8, n)), rng.uniform(0, 6.28, 8)
        self._sharp = kind.sharp
        self.speed, self.lean = rng.normal(0, kind.method_speed), rng.normal(0, 1, n)
        self.noise = float(rng.uniform(0.7, 1.3))
        mixed = ("power", "late", "sigmoid", "exp")
        self.curve = mixed[at % len(mixed)] if kind.curve == "mixed" else kind.curve

    def height(self, rows: Array, shift: Array) -> Array:
        """About 1 at the best, about 0 at a typical random setting, -0.6 far away; with bumps."""
        away = rows[:, self.numbers] - self._best - shift[self.numbers]
        penalty = np.zeros(len(rows))
        for column, costs, moves in zip(self.options, self._penalty, self._moves, strict=True):
            option = rows[:, column].astype(int)
            penalty, away = penalty + costs[option], away - moves[option]
        q = self._sharp * (away**2 @ self._weights + 0.5 * (away @ self._mix) ** 2) + penalty
        bumps = np.cos(rows[:, self.numbers] @ self._waves.T + self._phase).sum(1) / 2
        height: Array = 1 - 1.6 * (1 - np.exp(-q)) + 0.12 * bumps * (1 - np.exp(-3 * q))
        return height

    def diverges(self, row: Array) -> bool:
        return bool(self.numbers) and row[self.numbers[0]] > self.edge
