"""The study: an Optuna study in a database, told the truth about every run.

A state machine fed by hand: `next`, `report`, `end`. Nothing here knows Ray or MLflow. All that a new
driver needs to go on is in the database.
"""

import math
from dataclasses import asdict
from functools import partial
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from afdcd.config import UserError
from afdcd.search import rows
from afdcd.search.book import waiting
from afdcd.search.known_runs import KnownRuns
from afdcd.search.losses import Breaker, Loss, ends
from afdcd.search.options import OptionSets
from afdcd.search.proposer import Proposer
from afdcd.search.rows import Entry, entry_of
from afdcd.search.rungs import Rules
from afdcd.search.settings import Proposal, Settings
from afdcd.training.job import Job, Report, RunResult
from afdcd.training.trial import TrialConfig

ATTEMPTS = 50  # proposals in a row that repeat what was run, before a space counts as exhausted


class Study(KnownRuns):
    """Ask, report and tell, one run at a time."""

    def __init__(
        self,
        study: optuna.Study,
        settings: Settings,
        rules: Rules,
        options: OptionSets,
        seed: int = 0,
    ) -> None:
        super().__init__(study, settings, rules, seed)
        self._options = options
        self._proposer = Proposer(self, self._book, options, self._sampler, self._unpaid)
        self._breaker = Breaker()
        self._live: dict[str, int] = {}  # name of a run -> its row
        self._trials = self.trials()

    def next(self) -> Job | None:
        """The next run: first those that were begun, then what is asked for, then what is sampled.

        Raises:
            UserError: run after run was lost, or none can be trained; what has ended is kept.
        """
        if reason := self._breaker.reason:
            raise UserError(f"study {self.name!r} stops: {reason}; the same command goes on")
        self.spending.short = ""
        self._book.look()
        while (number := self._forsaken()) is not None:
            if proposal := self._taken_up(number):
                return self.settings.job(proposal)
        self._trials = self.trials()
        for _ in range(ATTEMPTS):
            row = self._proposer.next_row()
            if row is None:
                return None  # the trials are spent, or nothing new is left to try
            if proposal := self._begun(row):
                return self.settings.job(proposal)
        return None

    def stirred(self) -> bool:
        """Whether more is asked for, or may be spent, than when `next` had nothing more."""
        self._book.look()
        if self.spending.short:
            return not self._proposer.is_unpaid()
        return self._proposer.may_ask() or self.trials() > self._trials

    def report(self, job: Job, report: Report) -> bool:
        """Note a validation; True if the run should be paused here, to be taken up later or never."""
        number, iteration, value = self._live[job.name], report.iteration, report.score.value
        if not math.isfinite(value):
            return True  # nothing can be scored: `result_of` says whose fault it is
        entry = self._book.entry(number)
        if iteration not in entry.curve:
            self._book.point(number, iteration, value)
        return self.pauses(entry, iteration, value)

    def end(self, job: Job, result: RunResult) -> None:
        """Note how a run ended; a lost one goes on, unless it was lost too often."""
        number = self._live.pop(job.name)
        self._note_attempts(self._book.entry(number))
        if result.outcome == "killed":
            return  # a person stopped it: the next driver takes it up
        if result.outcome == "lost":
            self._note_loss(self._book.entry(number), result)
            return
        self._breaker.ended_well()
        if result.outcome == "completed":
            value = result.score.value
            self._book.close(number, TrialState.COMPLETE, "completed", value=value)
        elif result.outcome == "paused":
            self._book.close(number, TrialState.PRUNED, "paused")
        else:
            self._book.close(number, TrialState.FAIL, "infeasible", cause=result.cause)

    def reopen(self, number: int, reference: dict[str, Any] | None = None) -> int:
        """Take up a paused run again: a new row, linked to the old one, which no longer counts.

        Optuna refuses a second word about a row that was told, hence the new one. The run keeps
        its name, and with it its checkpoint, its journal and its page in MLflow.
        """
        old = self._book.row(number)
        attributes = {**old.user_attrs, rows.FIRST: entry_of(old).first, rows.CONTINUES: number}
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
        self._book.add(row)
        return next(e.number for e in reversed(self.everything()) if e.continues == number)

    def repeat(self, trial: int, seed: int) -> None:
        """Ask for a further run of a trial, with another seed and at full length; it costs no trial."""
        self.ask_for(waiting(self.searched(trial), {rows.SEED: seed, rows.REPEATS: trial}))

    def prove(self, config: TrialConfig) -> None:
        """Ask for a run of a proof, of a setting in the space or outside of it; it costs no trial."""
        seed, trial = config.training.seed, self.trial_of(config)
        proves = {rows.SEED: seed, rows.PROVES: True}
        if trial is None:
            given = {rows.GIVEN: True, rows.SETTING: config.plain()}
            self.ask_for(waiting({}, {**proves, **given}))
        else:
            self.ask_for(waiting(self.searched(trial), {**proves, rows.REPEATS: trial}))

    def ask_for(self, row: FrozenTrial) -> None:
        """Queue a run: a row that waits."""
        self._book.add(row)

    def prefer(self, number: int, reference: dict[str, Any]) -> None:
        """Make a run that goes on a reference: it is not paused any more."""
        self._book.note(number, rows.REFERENCE, reference)

    def _unpaid(self, everything: list[Entry], wanted: Entry | None) -> bool:
        """Whether the budget does not pay for this row to its end, or for a new one."""
        return self.spending.refuses(everything, self._live.values(), self.settings, wanted)

    def _forsaken(self) -> int | None:
        """A row that was begun, and that no process works on."""
        live = self._live.values()
        running = (e for e in self.everything() if e.state == TrialState.RUNNING)
        return next((e.number for e in running if e.number not in live), None)

    def _taken_up(self, number: int) -> Proposal | None:
        entry = self._book.entry(number)
        if entry.setting is None or entry.identity is None:  # its driver died while it was begun
            return self._begun(self._proposer.again(number))
        config = self.config_of(entry)
        if config is None:
            cause = "not in the present search space"
            self._book.close(number, TrialState.FAIL, "killed", cause=cause)
            return None
        entry = self._caught_up(entry)
        at = entry.reached
        # Below, its work would be lost; above, a drained node saved it, after it had gone on.
        kept = at and self.settings.checkpoint(entry.run) in (at, None)
        if kept and self.pauses(entry, at, entry.curve[at]):  # decided, and then the driver died
            self._book.close(number, TrialState.PRUNED, "paused")
            return None
        if self._unpaid(self.everything(), entry):  # once it is raised, the run is taken up again
            self._book.give_up(entry, self.spending.short)
            return None
        self._live[entry.run.name] = number
        return Proposal(entry.run, config, entry.identity or "")

    def _begun(self, trial: optuna.Trial) -> Proposal | None:
        """Fix what a new row runs; None if it cannot be run, or is a copy of another."""
        row = self._book.entry(trial.number)
        space = self.settings.space
        if row.given:
            values = row.setting or {}
        else:
            values = self._book.fill(trial, partial(self._options.suggest, space))
        asked = self._book.entry(trial.number)  # with what was suggested
        if any(asked.searched.get(path) != value for path, value in (asked.asked or {}).items()):
            cause = "not in the present search space"
            self._book.close(trial.number, TrialState.FAIL, "killed", cause=cause)
            return None
        try:
            config = self.settings.seeded(values, asked.seed)
        except UserError as error:  # this combination only; the others are worth running
            self._book.close(trial.number, TrialState.FAIL, "infeasible", cause=str(error))
            return None
        identity = self.settings.identity(config)
        if twin := self.twin(trial.number, identity):
            self._book.note(trial.number, rows.TWIN, twin.number)
            done = twin.state == TrialState.COMPLETE
            state = TrialState.COMPLETE if done else TrialState.PRUNED
            self._book.close(trial.number, state, value=twin.value if done else None)
            return None
        if asked.seed is not None and asked.repeats is None:
            repeated = self.trial_of(config)
            if repeated is not None:
                self._book.note(trial.number, rows.REPEATS, repeated)
        self._book.note(trial.number, rows.IDENTITY, identity)
        self._book.note(trial.number, rows.SETTING, config.plain())
        self._fitting.learn(identity, asked.searched, config)
        run = self._book.entry(trial.number).run
        self._live[run.name] = trial.number
        return Proposal(run, config, identity)

    def _note_attempts(self, entry: Entry) -> None:
        plain = [one.plain() for one in self.settings.attempts_of(entry)]
        self._book.note(entry.number, rows.ATTEMPTS, plain)

    def _caught_up(self, entry: Entry) -> Entry:
        """With what the run reported and spent while no driver lived, or before one could note it."""
        self._note_attempts(entry)
        for report in self.settings.journal(entry.run):
            value = report.score.value
            if report.iteration not in entry.curve and math.isfinite(value):
                self._book.point(entry.number, report.iteration, value)
        return self._book.entry(entry.number)

    def _note_loss(self, entry: Entry, result: RunResult) -> None:
        loss = Loss(result.cause, result.fault or "machine", entry.reached)
        losses = [*entry.losses, loss]
        self._breaker.lost(entry.run.name, loss)
        self._book.note(entry.number, rows.LOSSES, [asdict(one) for one in losses])
        if ends(losses):
            self._book.close(entry.number, TrialState.FAIL, "lost", cause=result.cause)
