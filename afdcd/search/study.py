"""The study: an Optuna study in a database, told the truth about every run.

A state machine fed by hand: `next`, `report`, `end`. Nothing here knows Ray or MLflow. All that a new
driver needs to go on is in the database.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from afdcd.config import UserError
from afdcd.search import rows
from afdcd.search.losses import Breaker, Loss, ends
from afdcd.search.membership import parameters_in
from afdcd.search.options import OptionSets
from afdcd.search.patience import patiently
from afdcd.search.rows import Entry, entry_of
from afdcd.search.rungs import Rules, goes_on, values_at
from afdcd.search.space import resolve
from afdcd.training.job import FINISHED, Job, Report, RunResult
from afdcd.training.trial import TrialConfig

ATTEMPTS = 50  # proposals in a row that repeat what was run, before a space counts as exhausted


@dataclass(frozen=True)
class Settings:
    """What can be run in a study.

    Attributes:
        space: config values with ranges (see `afdcd.search.space`).
        config: plain values as a configuration; UserError where they do not go together.
        identity: of a configuration: equal exactly if two compute the same.
        job: what a worker needs to run a proposal.
        journal: value by iteration of all that the run of this number has reported.
    """

    space: Any
    config: Callable[[dict[str, Any]], TrialConfig]
    identity: Callable[[TrialConfig], str]
    job: Callable[["Proposal"], Job]
    journal: Callable[[int], dict[int, float]] = lambda number: {}


@dataclass(frozen=True)
class Proposal:
    """A run to start or to take up.

    Attributes:
        number: of the run for ever: of the row that began it.
    """

    number: int
    config: TrialConfig
    identity: str

    @property
    def name(self) -> str:
        return rows.run_name(self.number)


class Study:
    """Ask, report and tell, one run at a time."""

    def __init__(
        self, study: optuna.Study, settings: Settings, rules: Rules, options: OptionSets
    ) -> None:
        self.study, self.settings, self.rules = study, settings, rules
        self._options = options
        self._breaker = Breaker()
        self._ids: dict[int, int] = {}  # a row's number -> the database's own number of it
        self._fitting: dict[str, TrialConfig | None] = {}  # identity -> as this space gives it
        running = [e.number for e in self.everything() if e.state == TrialState.RUNNING]
        self._waiting = running  # begun rows that no process works on
        self._live: dict[str, int] = {}  # name of a run -> its row

    @property
    def id(self) -> str:
        return str(self.study.user_attrs["id"])

    @property
    def name(self) -> str:
        return self.study.study_name

    def next(self) -> Job | None:
        """The next run: first those that were begun, then the references, then what is sampled.

        Raises:
            UserError: run after run was lost; what is kept goes on when the cause is mended.
        """
        if reason := self._breaker.reason:
            raise UserError(f"study {self.name!r} stops: {reason}; the same command goes on")
        while self._waiting:
            if proposal := self._taken_up(self._waiting.pop(0)):
                return self.settings.job(proposal)
        for _ in range(ATTEMPTS):
            if self.counted() >= self.rules.trials and not self._has_asked():
                return None
            if proposal := self._begun(patiently(self.study.ask)):
                return self.settings.job(proposal)
        return None  # nothing new is left to try

    def report(self, job: Job, report: Report) -> bool:
        """Note a validation; True if the run should be paused here, to be taken up later or never."""
        number, iteration, value = self._live[job.name], report.iteration, report.score.value
        if not math.isfinite(value):
            return True  # nothing can be scored: `result_of` says whose fault it is
        entry = self._entry(number)
        if iteration not in entry.curve:
            note = self.study._storage.set_trial_intermediate_value
            patiently(lambda: note(self._id(number), iteration, value))
        return self._pauses(entry, iteration, value)

    def end(self, job: Job, result: RunResult) -> None:
        """Note how a run ended; a lost one goes on, unless it was lost too often."""
        number = self._live.pop(job.name)
        entry = self._entry(number)
        if result.last:
            self._set(number, rows.HOURS, result.last.device_hours)
        if result.outcome == "killed":
            return  # a person stopped it: the next driver takes it up
        if result.outcome == "lost":
            self._note_loss(entry, result)
            return
        self._breaker.ended_well()
        if result.outcome == "completed":
            self._tell(number, TrialState.COMPLETE, "completed", value=result.score.value)
        elif result.outcome == "paused":
            self._tell(number, TrialState.PRUNED, "paused")
        else:
            self._tell(number, TrialState.FAIL, "infeasible", cause=result.cause)

    def reopen(self, number: int, reference: dict[str, Any] | None = None) -> int:
        """Take up a paused run again: a new row, linked to the old one, which no longer counts.

        Optuna refuses a second word about a row that was told, hence the new one. The run keeps
        its name, and with it its checkpoint, its journal and its page in MLflow.
        """
        old = self._row(number)
        entry = entry_of(old)
        attributes = {**old.user_attrs, rows.FIRST: entry.first, rows.CONTINUES: number}
        for forgotten in (rows.OUTCOME, rows.CAUSE):
            attributes.pop(forgotten, None)
        if reference is not None:
            attributes[rows.REFERENCE] = reference
        row = create_trial(
            state=TrialState.RUNNING,
            params=old.params,
            distributions=old.distributions,
            intermediate_values=old.intermediate_values,
            user_attrs=attributes,
        )
        patiently(lambda: self.study.add_trial(row))
        new = next(e.number for e in reversed(self.everything()) if e.continues == number)
        self._waiting.append(new)
        return new

    def prefer(self, number: int, reference: dict[str, Any]) -> None:
        """Make a run that goes on a reference: it is not paused any more."""
        self._set(number, rows.REFERENCE, reference)

    def everything(self) -> list[Entry]:
        """Every row, those that do not count too."""
        found = patiently(lambda: self.study.get_trials(deepcopy=False))
        return [entry_of(row) for row in found]

    def entries(self) -> list[Entry]:
        """The rows that count: begun, in the present space, and not taken up by a later row."""
        return [e for e in rows.standing(self.everything()) if self._lies_in_space(e)]

    def counted(self) -> int:
        """How many trials are spent; a lost one costs none."""
        return sum(1 for e in self.entries() if e.outcome != "lost")

    def best(self, count: int = 1) -> list[Entry]:
        """The `count` best full-length runs, best first."""
        done = [e for e in self.entries() if e.outcome == "completed" and e.value is not None]
        sign = -1 if self.rules.higher_is_better else 1
        return sorted(done, key=lambda e: sign * (e.value or 0.0))[:count]

    def outside(self) -> int:
        """How many runs that ended lie outside the present space, and so do not count."""
        known = rows.standing(self.everything())
        ended = [e for e in known if e.outcome in ("completed", "paused")]
        return sum(1 for e in ended if not self._lies_in_space(e))

    def finished(self) -> int:
        """How many runs need not be run again."""
        return sum(1 for e in self.entries() if e.outcome in FINISHED)

    def spent(self) -> float:
        """Device-hours of the runs that ended, lost attempts excepted."""
        return sum(entry.device_hours for entry in self.entries() if entry.outcome)

    def identity_of(self, pinned: dict[str, Any]) -> str | None:
        """Of the setting that these values by path give; None if they leave something open."""
        try:
            values = resolve(self.settings.space, partial(_looked_up, pinned))
            return self.settings.identity(self.settings.config(values))
        except (KeyError, UserError):
            return None

    def _taken_up(self, number: int) -> Proposal | None:
        entry = self._entry(number)
        if entry.setting is None:  # its driver died while it was being sampled
            return self._begun(optuna.Trial(self.study, self._id(number)))
        config = self.config_of(entry)
        if config is None:
            self._tell(number, TrialState.FAIL, "killed", cause="not in the present search space")
            return None
        entry = self._caught_up(entry)
        at = entry.reached
        if at and self._pauses(entry, at, entry.curve[at]):  # decided, and then the driver died
            self._tell(number, TrialState.PRUNED, "paused")
            return None
        self._live[entry.name] = number
        return Proposal(entry.first, config, entry.identity or "")

    def _begun(self, trial: optuna.Trial) -> Proposal | None:
        """Fix what a new row runs; None if it cannot be run, or is a copy of another."""
        values = patiently(lambda: self._options.suggest(self.settings.space, trial))
        try:
            config = self.settings.config(values)
        except UserError as error:  # this combination only; the others are worth running
            self._tell(trial.number, TrialState.FAIL, "infeasible", cause=str(error))
            return None
        identity = self.settings.identity(config)
        twin = next((e for e in self.entries() if _repeats(e, trial.number, identity)), None)
        if twin is not None:
            patiently(lambda: trial.set_user_attr(rows.TWIN, twin.number))
            done = twin.state == TrialState.COMPLETE
            state = TrialState.COMPLETE if done else TrialState.PRUNED
            self._told(trial.number, state, twin.value if done else None)
            return None
        self._set(trial.number, rows.IDENTITY, identity)
        self._set(trial.number, rows.SETTING, config.plain())
        self._fitting[identity] = config
        self._live[rows.run_name(trial.number)] = trial.number
        return Proposal(trial.number, config, identity)

    def _caught_up(self, entry: Entry) -> Entry:
        """With what the run reported while no driver lived, or before one could note it."""
        note = self.study._storage.set_trial_intermediate_value
        for iteration, value in self.settings.journal(entry.first).items():
            if iteration not in entry.curve and math.isfinite(value):
                set_value = partial(note, self._id(entry.number), iteration, value)
                patiently(set_value)
        return self._entry(entry.number)

    def _pauses(self, entry: Entry, iteration: int, value: float) -> bool:
        """A function of what all runs had at this iteration, and of nothing else."""
        rule = self.rules
        if entry.is_reference or iteration not in rule.rungs:
            return False
        others = [e.curve for e in self.entries() if e.number != entry.number]
        peers = values_at(iteration, others)
        return not goes_on(value, peers, rule.reduction, rule.higher_is_better)

    def _note_loss(self, entry: Entry, result: RunResult) -> None:
        loss = Loss(result.cause, result.fault or "machine", entry.reached)
        losses = [*entry.losses, loss]
        self._breaker.lost(entry.name, result.cause)
        self._set(entry.number, rows.LOSSES, [asdict(one) for one in losses])
        if ends(losses):
            self._tell(entry.number, TrialState.FAIL, "lost", cause=result.cause)
        else:
            self._waiting.append(entry.number)

    def _tell(
        self,
        number: int,
        state: TrialState,
        outcome: str,
        *,
        value: float | None = None,
        cause: str = "",
    ) -> None:
        if cause:
            self._set(number, rows.CAUSE, cause)
        self._set(number, rows.OUTCOME, outcome)
        self._told(number, state, value)

    def _told(self, number: int, state: TrialState, value: float | None) -> None:
        def tell() -> None:
            if not self._row(number).state.is_finished():  # else it was done, unheard
                self.study.tell(number, value, state=state)

        patiently(tell)

    def _set(self, number: int, key: str, value: Any) -> None:
        note = self.study._storage.set_trial_user_attr
        patiently(lambda: note(self._id(number), key, value))

    def _has_asked(self) -> bool:
        """Whether a person's settings still wait to be begun."""
        return any(e.state == TrialState.WAITING for e in self.everything())

    def _lies_in_space(self, entry: Entry) -> bool:
        if entry.setting is None or entry.identity is None:
            return entry.state == TrialState.RUNNING or entry.outcome == "infeasible"
        return self.config_of(entry) is not None

    def config_of(self, entry: Entry) -> TrialConfig | None:
        """The configuration of a run as the present space gives it; None if it cannot."""
        assert entry.identity is not None
        if entry.identity not in self._fitting:
            self._fitting[entry.identity] = self._found(entry.setting, entry.identity)
        return self._fitting[entry.identity]

    def _found(self, setting: Any, identity: str) -> TrialConfig | None:
        for found in parameters_in(self.settings.space, setting):
            values = resolve(self.settings.space, partial(_looked_up, found))
            try:
                config = self.settings.config(values)
                if self.settings.identity(config) == identity:
                    return config
            except UserError:
                continue
        return None

    def _entry(self, number: int) -> Entry:
        return entry_of(self._row(number))

    def _row(self, number: int) -> FrozenTrial:
        return patiently(lambda: self.study._storage.get_trial(self._id(number)))

    def _id(self, number: int) -> int:
        """The database's own number of a row."""
        if number not in self._ids:
            found = patiently(lambda: self.study.get_trials(deepcopy=False))
            self._ids = {row.number: row._trial_id for row in found}
        return self._ids[number]


def _looked_up(found: dict[str, Any], path: str, _: Any) -> Any:
    return found[path]


def _repeats(entry: Entry, number: int, identity: str) -> bool:
    same = entry.number != number and entry.identity == identity
    return same and entry.outcome not in ("lost", "killed")
