"""What can be run in a study, and which setting of the present search space a row stands for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from optuna.trial import TrialState

from afdcd.config import UserError
from afdcd.search.membership import parameters_in
from afdcd.search.rows import Entry, RunKey
from afdcd.search.space import SEED, resolve
from afdcd.training.job import Job, Report
from afdcd.training.pulse import Attempt
from afdcd.training.trial import TrialConfig


@dataclass(frozen=True)
class Proposal:
    """A run to start or to take up."""

    run: RunKey
    config: TrialConfig
    identity: str


@dataclass(frozen=True)
class Settings:
    """What can be run in a study.

    Attributes:
        space: config values with ranges (see `afdcd.search.space`).
        config: plain values as a configuration; UserError where they do not go together.
        identity: of a configuration: equal exactly if two compute the same.
        job: what a worker needs to run a proposal.
        journal: all that a run has reported, in its order.
        attempts: at a run, by its own account.
        checkpoint: the iteration from which a run would go on; 0 if it begins anew, None if that is
            where it was validated last.
    """

    space: Any
    config: Callable[[dict[str, Any]], TrialConfig]
    identity: Callable[[TrialConfig], str]
    job: Callable[[Proposal], Job]
    journal: Callable[[RunKey], list[Report]] = lambda run: []
    attempts: Callable[[RunKey], Sequence[Attempt]] = lambda run: ()
    checkpoint: Callable[[RunKey], int | None] = lambda run: None

    def attempts_of(self, entry: Entry) -> tuple[Attempt, ...]:
        """All attempts at a run; those on record where its own account was lost with its folder."""
        found = tuple(self.attempts(entry.run))
        return found if len(found) >= len(entry.attempts) else entry.attempts

    def seeded(self, values: dict[str, Any], seed: int | None) -> TrialConfig:
        """Plain values as a configuration, with another seed than theirs if one is given."""
        config = self.config(values)
        return config if seed is None else with_seed(config, seed)

    def identity_of(self, reference: dict[str, Any]) -> str | None:
        """Of the run that these values by path ask for; None if they leave something open."""
        try:
            values = resolve(self.space, partial(_looked_up, reference))
            return self.identity(self.seeded(values, reference.get(SEED)))
        except (KeyError, UserError):
            return None


class Fitting:
    """Finds the configuration of a row in the present space, each once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, _Found | None] = {}  # by identity

    def learn(self, identity: str, parameters: dict[str, Any], config: TrialConfig) -> None:
        """What a row runs that was sampled from the present space."""
        self._known[identity] = _Found(parameters, config)

    def holds(self, entry: Entry) -> bool:
        """Whether a row lies in the present space; one that was never fixed does while it runs."""
        if entry.setting is None or entry.identity is None:
            return entry.state == TrialState.RUNNING or entry.outcome == "infeasible"
        return self.config_of(entry) is not None

    def config_of(self, entry: Entry) -> TrialConfig | None:
        """The configuration of a row as the present space gives it; None if it cannot."""
        found = self._of(entry)
        return found.config if found else None

    def parameters_of(self, entry: Entry) -> dict[str, Any] | None:
        """The values by path with which the present space gives a row; None if it cannot."""
        if entry.setting is None:  # it does not go together, and was never run
            return entry.searched
        found = self._of(entry)
        return found.parameters if found else None

    def _of(self, entry: Entry) -> "_Found | None":
        assert entry.identity is not None
        if entry.identity not in self._known:
            find = self._given if entry.given else self._search
            self._known[entry.identity] = find(entry.setting, entry.identity)
        return self._known[entry.identity]

    def _given(self, setting: Any, identity: str) -> "_Found | None":
        """Of a setting that is no part of the space."""
        try:
            config = self._settings.config(setting)
        except UserError:
            return None
        return _Found({}, config) if self._settings.identity(config) == identity else None

    def _search(self, setting: Any, identity: str) -> "_Found | None":
        seed = setting["training"]["seed"]
        for found in parameters_in(self._settings.space, setting):
            values = resolve(self._settings.space, partial(_looked_up, found))
            try:
                config = self._settings.seeded(values, seed)
                if self._settings.identity(config) == identity:
                    return _Found(found, config)
            except UserError:
                continue
        return None


@dataclass(frozen=True)
class _Found:
    parameters: dict[str, Any]
    config: TrialConfig


def with_seed(config: TrialConfig, seed: int) -> TrialConfig:
    """Another run of the same setting."""
    return config.updated(training=config.training.updated(seed=seed))


def _looked_up(found: dict[str, Any], path: str, _: Any) -> Any:
    return found[path]
