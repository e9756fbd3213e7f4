"""What a row of the study database says: one attempt at a setting, with all that was decided of it.

Optuna's states stay honest: COMPLETE is a full-length value, PRUNED a paused run, FAIL an infeasible
or lost one, RUNNING one that goes on with the next driver.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from afdcd import storage
from afdcd.search.earlier import parameters_of_today
from afdcd.search.losses import Loss
from afdcd.search.options import path_of
from afdcd.training.job import Outcome
from afdcd.training.pulse import Attempt
from afdcd.training.trial import TrialConfig

# Attributes of a row.
FIRST = "first"  # the number of the row that began the run, where this one takes it up
SETTING = "setting"  # the whole configuration, defaults filled in
IDENTITY = "identity"
REFERENCE = "reference"  # what the search space file asked for; such a run is never paused
OUTCOME = "outcome"
CAUSE = "cause"
LOSSES = "losses"
CONTINUES = "continues"  # the paused row whose run this row takes up; that row no longer counts
ATTEMPTS = "attempts"  # the ledger: every attempt at the run, with what it held and for how long
TWIN = "twin"  # the number of an earlier row with the same setting and seed
ASKED = "asked"  # the values by path that such a row was queued with
EXTRA = "extra"  # of a row that was asked for while the study lived: it runs beyond the trials
SEED = "seed"  # asked for instead of the study's own
POLICY = "policy"  # why this setting is run, and what was expected of it then
REPEATS = "repeats"  # the trial whose setting this row runs with another seed
PROVES = "proves"  # a run of a proof, by which nothing is selected
FURTHER = "further"  # a seed of a trial that the study runs to settle its choice, and pays for
GIVEN = "given"  # its setting was given whole, for a proof: it need not lie in the space

TRIALS = "trials"  # of a study's folder: its runs


@dataclass(frozen=True)
class RunKey:
    """Which run of a study: a trial is a setting, a run is a setting and a seed.

    Attributes:
        trial: the number of the row that began the trial; people know it by that for ever.
        seed: None for the run that began the trial.
    """

    trial: int
    seed: int | None = None

    def __str__(self) -> str:
        return str(self.trial) if self.seed is None else f"{self.trial} seed {self.seed}"

    @property
    def name(self) -> str:
        """Of the job, and so of the page in MLflow."""
        name = f"trial-{self.trial:04d}"
        return name if self.seed is None else f"{name}-seed-{self.seed}"

    @property
    def repeats(self) -> str | None:
        """The name of the run that began the trial, if this is a further one."""
        return None if self.seed is None else RunKey(self.trial).name

    def title(self, config: TrialConfig) -> str:
        """What people call the run."""
        return f"trial {self} {config.distiller.method}"

    def folder(self, study: str) -> str:
        """Where it keeps checkpoints, journal, weights and picture, below the study's folder."""
        trial = storage.join(study, TRIALS, f"{self.trial:04d}")
        return trial if self.seed is None else storage.join(trial, f"seed-{self.seed}")


@dataclass(frozen=True)
class Entry:
    """One row, read.

    Attributes:
        first: the number of the row that began the run.
        asked: values by path that somebody asked for; None for one that was sampled.
        extra: whether it runs even if the trials are spent.
        seed: that was asked for; None: the study's own.
        repeats: the trial that it is a further run of; None if it began one.
        proves: whether it is a run of a proof.
        further: whether it is a further run that the study pays for as for a trial.
        given: whether its setting was given whole and not searched.
        setting: None where a driver died before it was known.
        curve: iteration -> value of every validation.
    """

    number: int
    first: int
    asked: dict[str, Any] | None
    extra: bool
    seed: int | None
    repeats: int | None
    proves: bool
    further: bool
    given: bool
    state: TrialState
    setting: dict[str, Any] | None
    identity: str | None
    params: dict[str, Any]
    curve: dict[int, float]
    value: float | None
    reference: dict[str, Any] | None
    outcome: Outcome | None
    cause: str
    losses: tuple[Loss, ...]
    continues: int | None
    twin: int | None
    attempts: tuple[Attempt, ...]

    @property
    def run(self) -> RunKey:
        return RunKey(self.first) if self.repeats is None else RunKey(self.repeats, self.seed)

    @property
    def is_searched(self) -> bool:
        """Whether it began a trial of the search, which costs one and is ranked."""
        return self.repeats is None and not self.given

    @property
    def is_paid(self) -> bool:
        """Whether the study's trials pay for it."""
        return self.is_searched or self.further

    @property
    def device_hours(self) -> float:
        """Of all attempts, start-up and lost work included."""
        return sum(attempt.device_seconds for attempt in self.attempts) / 3600

    @property
    def hours(self) -> float:
        """Of the clock, over all attempts."""
        return sum(max(0.0, one.at - one.started) for one in self.attempts) / 3600

    @property
    def reached(self) -> int:
        """The iteration of the last validation; 0 before the first."""
        return max(self.curve, default=0)

    @property
    def share(self) -> float:
        """The part of its length that the run has reached."""
        return self.reached / self.setting["training"]["iterations"] if self.setting else 0.0

    @property
    def is_reference(self) -> bool:
        return self.reference is not None

    @property
    def may_pause(self) -> bool:
        """What a person asked for, further runs and proofs are wanted at full length."""
        return self.reference is None and self.is_searched

    @cached_property
    def searched(self) -> dict[str, Any]:
        """The searched values by path in the space."""
        return {path_of(name): value for name, value in self.params.items()}

    @cached_property
    def key(self) -> frozenset[tuple[str, Any]]:
        """Equal for two rows exactly if they have the same searched values."""
        return frozenset(self.searched.items())


def entry_of(row: FrozenTrial) -> Entry:
    attributes = row.user_attrs
    further = attributes.get(FURTHER, {})
    return Entry(
        number=row.number,
        first=attributes.get(FIRST, row.number),
        asked=_named(attributes.get(ASKED)),
        extra=attributes.get(EXTRA, False),
        seed=attributes.get(SEED, further.get(SEED)),
        repeats=attributes.get(REPEATS, further.get(REPEATS)),
        proves=attributes.get(PROVES, False),
        further=bool(further),
        given=attributes.get(GIVEN, False),
        state=row.state,
        setting=attributes.get(SETTING),
        identity=attributes.get(IDENTITY),
        params=parameters_of_today(row.params),
        curve=row.intermediate_values,
        value=row.value,
        reference=_named(attributes.get(REFERENCE)),
        outcome=attributes.get(OUTCOME),
        cause=attributes.get(CAUSE, ""),
        losses=tuple(Loss(**loss) for loss in attributes.get(LOSSES, [])),
        continues=attributes.get(CONTINUES),
        twin=attributes.get(TWIN),
        attempts=tuple(Attempt(**attempt) for attempt in attributes.get(ATTEMPTS, [])),
    )


def used_seeds(entries: Sequence[Entry]) -> set[int]:
    """The seeds that a fresh run may not have: those that were asked for, and those that runs have."""
    asked = {entry.seed for entry in entries if entry.seed is not None}
    return asked | {entry.setting["training"]["seed"] for entry in entries if entry.setting}


def _named(values: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if values is None else parameters_of_today(values)


def ranked(entries: Iterable[Entry], *, maximise: bool) -> list[Entry]:
    """The trials that have a full-length value, by the run that each began with, best first."""
    first = [e for e in entries if e.outcome == "completed" and e.is_searched]
    valued = [e for e in first if e.value is not None]
    return sorted(valued, key=lambda e: e.value or 0.0, reverse=maximise)


def standing(entries: list[Entry]) -> list[Entry]:
    """The rows that stand for a run: begun, no copies, and not taken up by a later row."""
    replaced = {e.continues for e in entries if e.continues is not None}
    return [
        e
        for e in entries
        if e.state != TrialState.WAITING and e.twin is None and e.number not in replaced
    ]
