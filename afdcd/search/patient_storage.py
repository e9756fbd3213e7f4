"""The study database as Optuna is given it: each single call is asked again while it does not answer.

A call that took effect although its answer was lost is not done twice. That can be told from the rows
because one driver writes a study at a time, and others may only add rows that wait.
"""

from collections.abc import Callable, Sequence
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from afdcd.search.patience import patiently

# What may be done twice: reading, and setting what is set already. A study that is made twice is
# found by its name.
_HARMLESS = (
    *("create_new_study", "get_study_id_from_name", "get_study_name_from_id", "get_all_studies"),
    *("get_study_directions", "get_study_user_attrs", "get_study_system_attrs"),
    *("set_study_user_attr", "set_study_system_attr", "set_trial_user_attr"),
    *("set_trial_system_attr", "set_trial_intermediate_value", "_set_trial_param", "get_trial"),
    "get_trial_id_from_study_id_trial_number",
)


class PatientStorage(RDBStorage):
    """Optuna's storage, for a database that is away for a moment.

    Raises:
        UserError: by every method, when the database has not answered for a minute.
    """

    def __init__(self, url: str) -> None:
        # Wait for another writer of the same SQLite file instead of failing at once.
        options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
        super().__init__(url, engine_kwargs=options)
        self._newest = -1  # the highest id of a row that was seen

    def _get_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        read = super()._get_trials
        found: list[FrozenTrial] = patiently(lambda: read(*args, **kwargs))
        self._newest = max([self._newest, *(row._trial_id for row in found)])
        return found

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        make, asked = super()._create_new_trial, _Repeated()

        def made() -> FrozenTrial:
            unheard = self._made_unheard(study_id, template_trial) if asked.before() else None
            return unheard or make(study_id, template_trial)

        row: FrozenTrial = patiently(made)
        self._newest = max(self._newest, row._trial_id)
        return row

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        write, read, asked = super().set_trial_state_values, super().get_trial, _Repeated()

        def written() -> bool:
            done = asked.before() and read(trial_id).state == state
            return done or write(trial_id, state, values)

        return patiently(written)

    def _made_unheard(self, study_id: int, template: FrozenTrial | None) -> FrozenTrial | None:
        """A row that was made by a call whose answer was lost."""
        rows = super()._get_trials(study_id, None, set(), self._newest)
        state = template.state if template else TrialState.RUNNING
        attributes = template.user_attrs if template else {}
        same = (row for row in rows if (row.state, row.user_attrs) == (state, attributes))
        return next(same, None)


class _Repeated:
    """Tells the first attempt from the later ones."""

    def __init__(self) -> None:
        self._asked = False

    def before(self) -> bool:
        before, self._asked = self._asked, True
        return before


def _patient(name: str) -> Callable[..., Any]:
    def method(self: PatientStorage, *args: Any, **kwargs: Any) -> Any:
        call = getattr(super(PatientStorage, self), name)
        return patiently(lambda: call(*args, **kwargs))

    method.__name__ = name
    return method


for _name in _HARMLESS:
    setattr(PatientStorage, _name, _patient(_name))
