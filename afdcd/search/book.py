"""The rows of a study in its database, read as entries.

One driver writes a study at a time. Others may only add rows that wait.
"""

from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from afdcd.search import rows
from afdcd.search.rows import Entry, entry_of
from afdcd.search.space import SEED, without_seed
from afdcd.training.job import Outcome

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
    """What was decided of every row, and the only place from which that is written."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._ended: dict[int, Entry] = {}  # by number; the database lets nobody change these
        self._ids: dict[int, int] = {}  # a row's number -> the database's own number of it

    def everything(self) -> list[Entry]:
        """Every row, those that do not count too."""
        return [self._read(row) for row in self._study.get_trials(deepcopy=False)]

    def entry(self, number: int) -> Entry:
        return self._ended.get(number) or self._read(self.row(number))

    def row(self, number: int) -> FrozenTrial:
        return self._study._storage.get_trial(self.id_of(number))

    def ask(self) -> optuna.Trial:
        """A row that runs: the first of those that wait, else a new one."""
        row = self._study.ask()
        self._ids[row.number] = row._trial_id  # else all rows were read for it
        return row

    def pin(self, number: int, parameters: dict[str, Any]) -> None:
        """Fix what Optuna would sample for a row that waits."""
        self._study._storage.set_trial_system_attr(self.id_of(number), PINNED, parameters)

    def begun(self, number: int) -> optuna.Trial:
        """A row that runs already, to go on with."""
        return optuna.Trial(self._study, self.id_of(number))

    def add(self, row: FrozenTrial) -> None:
        self._study.add_trial(row)

    def note(self, number: int, key: str, value: Any) -> None:
        """Set an attribute of a row that has not ended."""
        self._study._storage.set_trial_user_attr(self.id_of(number), key, value)

    def point(self, number: int, iteration: int, value: float) -> None:
        """Note the value of a validation."""
        self._study._storage.set_trial_intermediate_value(self.id_of(number), iteration, value)

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
        self._study.tell(number, value, state=state)

    def give_up(self, entry: Entry, cause: str) -> None:
        """End a run that is not at fault: paused where it has come somewhere, else lost."""
        if entry.reached:
            self.close(entry.number, TrialState.PRUNED, "paused", cause=cause)
        else:
            self.close(entry.number, TrialState.FAIL, "lost", cause=cause)

    def id_of(self, number: int) -> int:
        """The database's own number of a row."""
        if number not in self._ids:
            found = self._study.get_trials(deepcopy=False)
            self._ids = {row.number: row._trial_id for row in found}
        return self._ids[number]

    def _read(self, row: FrozenTrial) -> Entry:
        known = self._ended.get(row.number)
        if known is None:
            known = entry_of(row)
            if row.state.is_finished():
                self._ended[row.number] = known
        return known
