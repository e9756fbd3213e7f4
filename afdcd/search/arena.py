"""The rivals of a divided study side by side, read from the study database alone.

Every row is a setting that the proof runs with the same fresh seeds. The gain over the baseline is
looked at seed by seed, with its 95 % interval (Student's t), as in every proof: one question of each row.
How rows are ranked, and which of them cannot be told apart: `ranks.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from afdcd.config import Source, UserError, validate
from afdcd.search import wishes
from afdcd.search.arena_cost import RivalCost, rival_costs
from afdcd.search.division import Division, division_of, value_in, value_of
from afdcd.search.evidence import Difference, Spread, difference, half_width, spread
from afdcd.search.kept import Kept
from afdcd.search.ledger import OTHER
from afdcd.search.proof import CHAMPION, FOUND, PLAIN, Plan, plain_of, plan_of, runs_of
from afdcd.search.published import Figure, figure_of
from afdcd.search.ranks import ranked
from afdcd.search.records import is_maximised
from afdcd.search.rows import Entry
from afdcd.search.space import parse_ranges
from afdcd.training.trial import TrialConfig

BASELINE = "baseline"


@dataclass(frozen=True)
class Row:
    """A setting of a rival.

    Attributes:
        rival: the value of `study.budget_per`.
        kind: baseline, published, found, or `published = found` where nothing better was found.
        scores: by seed, of the runs that completed.
        gain: over the baseline of the same recipe; None of a baseline, or without a seed in common.
        rank: from 1; None with fewer than three seeds.
        tied: names of the rows from which it cannot be told apart.
        figure: the published score of this method and pair.
    """

    rival: str
    kind: str
    setting: TrialConfig
    scores: dict[int, float]
    gain: Difference | None = None
    rank: int | None = None
    tied: tuple[str, ...] = ()
    figure: Figure | None = None

    @property
    def name(self) -> str:
        alone = self.kind == BASELINE and self.rival == self.setting.distiller.method
        return self.rival if alone else f"{self.rival}, {self.kind}"

    @property
    def spread(self) -> Spread | None:
        return spread(self.scores) if self.scores else None

    @property
    def half(self) -> float | None:
        """Half of the 95 % interval of the mean; None of fewer than two seeds."""
        found = self.spread
        return half_width(found.sd, found.n) if found and found.n > 1 else None


@dataclass(frozen=True)
class Arena:
    """What an arena has come to.

    Attributes:
        key: by whose values it is divided.
        label: of the score; `split` and `protocol`, on what it was measured.
        seeds: of the proof; none before it has begun.
        rows: the best first; those without a rank are last.
        shared: device-hours that belong to no rival alone, by what they were for.
        going: runs that have begun and not ended; without a driver they wait for the next one.
        failed: what will be missing, a line each.
    """

    study: str
    key: str
    label: str
    protocol: str
    seeds: tuple[int, ...]
    rows: list[Row]
    costs: list[RivalCost]
    shared: dict[str, float]
    going: int
    failed: list[str]

    @property
    def done(self) -> int:
        """How many runs of the proof have completed."""
        return sum(len(row.scores) for row in self.rows)


def arena_of(kept: Kept) -> Arena:
    """The arena of a study, as far as it is.

    Raises:
        UserError: a study that is not divided among rivals.
    """
    division, trials = _division_of(kept)
    entries, plan = kept.entries(), plan_of(kept.study)
    up = is_maximised(kept.study)
    rows, failed = _rows(plan, entries, division, up) if plan else ([], [])
    return Arena(
        study=kept.study.study_name,
        key=division.key,
        label=wishes.measure_of(kept.study.user_attrs).label,
        protocol=str(kept.study.user_attrs.get("frame", {}).get("data.protocol")),
        seeds=plan.seeds if plan else (),
        rows=rows,
        costs=rival_costs(division, trials, entries),
        shared=dict(kept.study.user_attrs.get(OTHER, {})),
        going=sum(1 for e in entries if e.outcome is None),
        failed=[*_failed_references(entries, division.key), *failed],
    )


def _division_of(kept: Kept) -> tuple[Division, int]:
    """How the study is divided, and how many trials it shall have."""
    name, written = kept.study.study_name, kept.study.user_attrs.get(wishes.WRITTEN, {})
    key = written.get(wishes.PER)
    if key is None:
        raise UserError(
            f"study {name!r}: its runs are not divided among rivals, so there is no arena; begin one with "
            f"study.budget_per: distiller.method, or ask afdcd study explain {name}"
        )
    source = Source(f"study {name}")
    space = parse_ranges(written["space"], source)
    return division_of(space, key, source), wishes.trials_of(
        kept.study.user_attrs, int(written["trials"])
    )


def _rows(
    plan: Plan, entries: list[Entry], division: Division, higher_is_better: bool
) -> tuple[list[Row], list[str]]:
    """A row for each arm; and what failed of them."""
    runs, missing = runs_of(plan, entries)
    scores = {arm: {s: e.value or 0.0 for s, e in of_arm.items()} for arm, of_arm in runs.items()}
    arms = {config.fingerprint(""): arm for arm, config in plan.arms.items()}
    published, rows = set(_published(entries)), {}
    for arm, config in plan.arms.items():
        kind = _kind(arm, config, is_published=config.fingerprint("") in published)
        base = scores.get(arms.get(plain_of(config).fingerprint(""), ""), {})
        gain = difference(scores[arm], base, higher_is_better=higher_is_better)
        rows[arm] = Row(
            rival=str(value_in(config.plain(), division.key)),
            kind=kind,
            setting=config,
            scores=scores[arm],
            gain=None if kind == BASELINE else gain,
            figure=None if kind == FOUND else published_figure(config),
        )
    failed = [f"{rows[a].name}, seed {seed}: {why}" for (a, seed), why in missing.items() if why]
    return _ranked(list(rows.values()), higher_is_better), failed


def _failed_references(entries: Iterable[Entry], key: str) -> Iterable[str]:
    for entry in entries:
        if entry.is_reference and entry.outcome in ("infeasible", "lost"):
            yield f"{value_of(entry, key)}, as it was asked for: {entry.outcome}, {entry.cause}"


def _published(entries: Iterable[Entry]) -> Iterable[str]:
    """The settings that a person asked for."""
    for entry in entries:
        if entry.is_reference and entry.is_searched and entry.setting:
            yield validate(TrialConfig, entry.setting).fingerprint("")


def _kind(arm: str, config: TrialConfig, *, is_published: bool) -> str:
    if not config.distiller.DISTILS:
        return BASELINE
    kind = arm.partition(" ")[0]
    if kind in (CHAMPION, FOUND):
        return "published = found" if is_published else FOUND
    return BASELINE if kind == PLAIN else kind


def published_figure(config: TrialConfig) -> Figure | None:
    """The published score of a method with this data set, pair and start."""
    teacher, student = config.pair.teacher, config.pair.student
    if teacher is None or teacher.model is None:
        return None
    return figure_of(
        config.data.dataset,
        teacher.model.name,
        student.name,
        config.distiller.method,
        pretrained=student.pretrained is not None,
    )


def _ranked(rows: list[Row], higher_is_better: bool) -> list[Row]:
    """The best first, each with its rank."""
    found = ranked([row.scores for row in rows], higher_is_better=higher_is_better)
    return [
        replace(rows[one.at], rank=one.rank, tied=tuple(rows[at].name for at in one.tied))
        for one in found
    ]
