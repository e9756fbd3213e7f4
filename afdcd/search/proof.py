"""The proof: the best student, and what it is held against, run with the same fresh seeds.

A search picks the luckiest of many noisy scores. So its best setting is run again, at full length and
with seeds that nothing was selected by, beside the same student without a teacher (same recipe, data)
and the best setting that a person asked for, which is the published one. What is run is written down
before it is run: which arms, which seeds, and with it whose weights will be registered.

Where the runs are divided among rivals (`study.budget_per`), the best setting that was found and the
published one of each of them are arms too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import optuna

from afdcd.config import validate
from afdcd.distillers.configs import NoneConfig
from afdcd.search.division import Division
from afdcd.search.evidence import Difference, Spread, Verdict, difference, spread
from afdcd.search.rows import Entry, used_seeds
from afdcd.search.settings import with_seed
from afdcd.search.study import Study
from afdcd.training.trial import TrialConfig

PROOF = "proof"  # study attribute: the newest plan
# The arms. Those of a rival have its name behind: `found kd`.
CHAMPION, PLAIN, PUBLISHED, FOUND = "champion", "plain", "published", "found"


@dataclass(frozen=True)
class Plan:
    """What is run to prove a trial.

    Attributes:
        trial: the trial that is proven.
        arms: name -> setting, whatever its seed; the champion's first.
        seeds: in their order; the weights of the first are registered.
        identities: of the runs, an arm's in the order of the seeds.
    """

    trial: int
    arms: dict[str, TrialConfig]
    seeds: tuple[int, ...]
    identities: dict[str, tuple[str, ...]]

    def plain(self) -> dict[str, Any]:
        arms = {name: config.plain() for name, config in self.arms.items()}
        runs = {"seeds": self.seeds, "identities": self.identities}
        return {"trial": self.trial, "arms": arms, **runs}

    @classmethod
    def of(cls, found: dict[str, Any]) -> "Plan":
        arms = {name: validate(TrialConfig, setting) for name, setting in found["arms"].items()}
        identities = {name: tuple(of_arm) for name, of_arm in found["identities"].items()}
        return cls(found["trial"], arms, tuple(found["seeds"]), identities)


@dataclass(frozen=True)
class Proof:
    """What a plan came to.

    Attributes:
        runs: arm -> seed -> its completed run, in the plan's order.
        unmet: runs that did not complete, a line each.
    """

    plan: Plan
    runs: dict[str, dict[int, Entry]]
    higher_is_better: bool = True
    unmet: list[str] = field(default_factory=list)

    def scores(self, arm: str) -> dict[int, float]:
        return {seed: entry.value or 0.0 for seed, entry in self.runs.get(arm, {}).items()}

    def spread(self, arm: str) -> Spread | None:
        return spread(self.scores(arm)) if self.runs.get(arm) else None

    def against(self, arm: str) -> Difference | None:
        """By how much the champion is better; None if there is no such arm, or no seed in common."""
        first, second = self.scores(CHAMPION), self.scores(arm)
        return difference(first, second, higher_is_better=self.higher_is_better)

    @property
    def verdict(self) -> Verdict:
        """Of the champion against the plain student. One that is a plain student is not better."""
        if PLAIN not in self.plan.arms:
            return "not distinguishable" if self.runs.get(CHAMPION) else "unproven"
        found = self.against(PLAIN)
        return found.verdict if found else "unproven"

    def to_settle(self) -> tuple[int, float] | None:
        """How many seeds would tell champion and plain student apart, and what the further ones cost.

        In device-hours, by what these runs took. None: it is settled, or no number in reach would.
        """
        found = self.against(PLAIN)
        enough = found.settled_by() if found and found.verdict == "not distinguishable" else None
        if found is None or enough is None:
            return None
        ran = [entry for runs in self.runs.values() for entry in runs.values()]
        each = sum(entry.device_hours for entry in ran) / len(ran)
        return enough, (enough - found.n) * len(self.plan.arms) * each


def proof_of(plan: Plan, entries: Iterable[Entry], *, higher_is_better: bool) -> Proof | None:
    """What a plan came to by the rows of its study; None if no run of the champion completed."""
    runs, missing = runs_of(plan, entries)
    unmet = [
        f"proof, {arm} seed {seed}: {cause or 'it was not run'}"
        for (arm, seed), cause in missing.items()
    ]
    return Proof(plan, runs, higher_is_better, unmet) if runs[CHAMPION] else None


def runs_of(
    plan: Plan, entries: Iterable[Entry]
) -> tuple[dict[str, dict[int, Entry]], dict[tuple[str, int], str]]:
    """Arm -> seed -> its completed run; and of each run that did not complete why, if it has ended."""
    ended = {e.identity: e for e in entries if e.outcome}
    runs: dict[str, dict[int, Entry]] = {}
    missing = {}
    for arm, identities in plan.identities.items():
        runs[arm] = {}
        for seed, identity in zip(plan.seeds, identities, strict=True):
            entry = ended.get(identity)
            if entry and entry.outcome == "completed":
                runs[arm][seed] = entry
            else:
                missing[arm, seed] = entry.cause if entry else ""
    return runs, missing


class Prover:
    """Plans, asks for runs, and reads what came of them. One driver asks for each run once."""

    def __init__(self, study: Study, seeds: int) -> None:
        self._study, self._seeds = study, seeds
        self._asked: set[str] = set()

    def ask(self) -> Plan | None:
        """Queue what is still to be run, and write down why; None if nothing is."""
        plan = self._plan()
        if plan is None:
            return None
        ended = {e.identity for e in self._study.entries() if e.outcome in ENDED}
        missing = {
            plan.identities[arm][place]: with_seed(config, seed)
            for place, seed in enumerate(plan.seeds)
            for arm, config in plan.arms.items()
            if plan.identities[arm][place] not in ended | self._asked
        }
        if missing:
            self._study.study.set_user_attr(PROOF, plan.plain())
        for identity, config in missing.items():
            self._asked.add(identity)
            self._study.prove(config)
        return plan if missing else None

    def proof(self) -> Proof | None:
        """Of the best trial; None where none was asked for, or no run of it completed."""
        plan, up = self._plan(), self._study.rules.higher_is_better
        return proof_of(plan, self._study.entries(), higher_is_better=up) if plan else None

    def _plan(self) -> Plan | None:
        """The plan that was written down, if it still proves the best trial; else a new one."""
        best = next(iter(self._study.best()), None)
        if best is None or not self._seeds:
            return None
        known = self._study.study.user_attrs.get(PROOF)
        if known and known["trial"] == best.first:
            plan = Plan.of(known)
            # Runs that came later may have changed what is best of a rival, though not the champion.
            arms = self._arms(best) if self._study.rules.division else plan.arms
            return self._planned(plan.trial, arms, self._longer(plan.seeds))
        return self._planned(best.first, self._arms(best), self._fresh(self._seeds))

    def _planned(self, trial: int, arms: dict[str, TrialConfig], seeds: tuple[int, ...]) -> Plan:
        identity = self._study.settings.identity
        runs = {
            arm: tuple(identity(with_seed(config, seed)) for seed in seeds)
            for arm, config in arms.items()
        }
        return Plan(trial, arms, seeds, runs)

    def _arms(self, best: Entry) -> dict[str, TrialConfig]:
        champion = self._study.config_of(best)
        assert champion is not None
        arms = {CHAMPION: champion}
        if champion.distiller.DISTILS:
            arms[PLAIN] = plain_of(champion)
        if division := self._study.rules.division:
            return self._with_rivals(arms, division)
        for entry in self._study.best(self._study.counted()):
            config = self._study.config_of(entry)
            if entry.is_reference and config and config.distiller.DISTILS:
                if entry.first != best.first:
                    arms[PUBLISHED] = config
                break
        return arms

    def _with_rivals(
        self, arms: dict[str, TrialConfig], division: Division
    ) -> dict[str, TrialConfig]:
        """With the best setting and the best published one of each value, and what these are held against.

        Each setting once: a published one may be the best that was found.
        """
        identity = self._study.settings.identity
        rivals = {identity(config): (arm, config) for arm, config in arms.items()}
        for value in division.sizes:
            ranked = self._study.best_of(value)
            for kind, of_kind in ((FOUND, ranked), (PUBLISHED, filter(_is_reference, ranked))):
                config = next(map(self._study.config_of, of_kind), None)
                if config:
                    rivals.setdefault(identity(config), (f"{kind} {value}", config))
                    plain = plain_of(config)
                    rivals.setdefault(identity(plain), (f"{PLAIN} {value}", plain))
        return dict(rivals.values())

    def _fresh(self, count: int, but: Iterable[int] = ()) -> tuple[int, ...]:
        """Seeds that no run of this study had."""
        used = used_seeds(self._study.everything()).union(but)
        first = max(used, default=-1) + 1
        return tuple(range(first, first + count))

    def _longer(self, seeds: tuple[int, ...]) -> tuple[int, ...]:
        """As many as are asked for now; those that were written down come first."""
        return seeds[: self._seeds] + self._fresh(self._seeds - len(seeds), but=seeds)


def plan_of(study: optuna.Study) -> Plan | None:
    """The newest plan of a study's proof, if one was written down."""
    known = study.user_attrs.get(PROOF)
    return Plan.of(known) if known else None


def plain_of(config: TrialConfig) -> TrialConfig:
    """The same student without a teacher: same recipe, same data."""
    return config.updated(distiller=NoneConfig())


ENDED = ("completed", "infeasible")  # a lost run is asked for again by the next driver


def _is_reference(entry: Entry) -> bool:
    return entry.is_reference
