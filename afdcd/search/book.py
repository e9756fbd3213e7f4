"""The rows of a study in its database, read as entries.

One driver writes a study at a time. Others may only add rows that wait, and set attributes of the study.
So what was read stays true but for these, and is not asked of the database again for every decision.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from afdcd.search import rows
from afdcd.search.rows import Entry, entry_of
from afdcd.search.space import SEED, without_seed
from afdcd.training.job import Outcome

T = TypeVar("T")
PINNED = "fixed_params"  # Optuna's own word, an attribute of a row


def waiting(values: dict[str, Any], attributes: dict[str, Any]) -> FrozenTrial:
    """A row that waits to be begun with these values, by path in the search space."""
    attributes = {**attributes, rows.ASKED: values}
    return create_trial(state=TrialState.WAITING, user_attrs=attributes)


def waiting_reference(reference: dict[str, Any], **attributes: Any) -> FrozenTrial:
    """A row that waits for a setting that a person asked for, with its seed if that is given."""
    seed = {rows.SEED: reference[SEED]} if SEED in reference else {}
    return waiting(without_seed(reference), {rows.REFERENCE: reference, **seed, **attributes})


class Book:
    """What was decided of every row, and the only place from which that is written.

    Rows and attributes are read by `look`, and remembered. What is written is noted in the memory too. A
    write that failed may have been done or not: then all is read again.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._rows: dict[int, FrozenTrial] | None = None  # by number; None: to be read
        self._entries: dict[int, Entry] = {}  # the same, as far as somebody asked for them
        self._attributes: dict[str, Any] | None = None

    def look(self) -> None:
        """See what others have added since; without it, what was seen last is told."""
        found = self._study.get_trials(deepcopy=False)
        # Optuna keeps these rows too; those that go on are changed here.
        self._rows = {r.number: r if r.state.is_finished() else deepcopy(r) for r in found}
        self._entries = {n: e for n, e in self._entries.items() if e.state.is_finished()}
        self._attributes = None

    @property
    def attributes(self) -> dict[str, Any]:
        """Of the study."""
        if self._attributes is None:
            self._attributes = self._study.user_attrs
        return self._attributes

    def everything(self) -> list[Entry]:
        """Every row, those that do not count too."""
        return [self.entry(number) for number in sorted(self._known())]

    def entry(self, number: int) -> Entry:
        if number not in self._entries:
            self._entries[number] = entry_of(self.row(number))
        return self._entries[number]

    def row(self, number: int) -> FrozenTrial:
        if number not in self._known():  # somebody else has added it
            self.look()
        return self._known()[number]

    def ask(self) -> optuna.Trial:
        """A row that runs: the first of those that wait, else a new one."""
        known, self._rows = self._known(), None
        trial = self._study.ask()
        known[trial.number] = self._study._storage.get_trial(trial._trial_id)
        self._entries.pop(trial.number, None)
        self._rows = known
        return trial

    def fill(self, trial: optuna.Trial, suggest: Callable[[optuna.Trial], T]) -> T:
        """Let `suggest` choose the parameters of a row that runs."""
        with self._changing(trial.number) as row:
            suggested = suggest(trial)
            row.params, row.distributions = trial.params, trial.distributions
        return suggested

    def pin(self, number: int, parameters: dict[str, Any]) -> None:
        """Fix what Optuna would sample for a row that waits."""
        with self._changing(number) as row:
            self._study._storage.set_trial_system_attr(row._trial_id, PINNED, parameters)

    def begun(self, number: int) -> optuna.Trial:
        """A row that runs already, to go on with."""
        return optuna.Trial(self._study, self.row(number)._trial_id)

    def add(self, row: FrozenTrial) -> None:
        self._rows = None  # it is given its number by the database
        self._study.add_trial(row)

    def note(self, number: int, key: str, value: Any) -> None:
        """Set an attribute of a row that has not ended."""
        with self._changing(number) as row:
            self._study._storage.set_trial_user_attr(row._trial_id, key, value)
            row.user_attrs = {**row.user_attrs, key: json.loads(json.dumps(value))}

    def point(self, number: int, iteration: int, value: float) -> None:
        """Note the value of a validation."""
        with self._changing(number) as row:
            self._study._storage.set_trial_intermediate_value(row._trial_id, iteration, value)
            row.intermediate_values = {**row.intermediate_values, iteration: value}

    def close(
        self,
        number: int,
        state: TrialState,
        outcome: Outcome | None = None,
        *,
        value: float | None = None,
        cause: str = "",
    ) -> None:
        """Say how a row ended, which nothing can change any more."""
        if cause:
            self.note(number, rows.CAUSE, cause)
        if outcome:
            self.note(number, rows.OUTCOME, outcome)
        with self._changing(number) as row:
            self._study.tell(number, value, state=state)
            if state == TrialState.PRUNED and row.intermediate_values:
                value = row.intermediate_values[max(row.intermediate_values)]  # as Optuna does
            row.state, row.value = state, value

    def give_up(self, entry: Entry, cause: str) -> None:
        """End a run that is not at fault: paused where it has come somewhere, else lost."""
        if entry.reached:
            self.close(entry.number, TrialState.PRUNED, "paused", cause=cause)
        else:
            self.close(entry.number, TrialState.FAIL, "lost", cause=cause)

    def _known(self) -> dict[int, FrozenTrial]:
        if self._rows is None:
            self.look()
        assert self._rows is not None
        return self._rows

    @contextmanager
    def _changing(self, number: int) -> Iterator[FrozenTrial]:
        """A row as it is remembered, to be changed as the database is."""
        row, known = self.row(number), self._known()
        self._entries.pop(number, None)
        self._rows = None  # as long as it is not known what came of the change
        yield row
        self._rows = known
