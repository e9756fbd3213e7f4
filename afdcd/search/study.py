"""The study: an Optuna study in a database, told the truth about every trial.

A state machine fed by hand: `next`, `report`, `complete`, `prune`, `fail`. Nothing here knows Ray. All
that a new driver needs to go on is in the database, the pruning rungs included.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from afdcd.config import Source, UserError
from afdcd.search.config import StudyConfig
from afdcd.search.space import parameters_of, resolve, suggest
from afdcd.seeds import derive
from afdcd.text import first_line

REFERENCE = "reference"  # trial attribute: a setting given by a person; runs at full length
CAUSE = "cause"
TWIN = "twin"  # trial attribute: the number of an earlier trial with the same settings
PRUNED = TrialState.PRUNED
ATTEMPTS = 50  # proposals in a row that repeat what was run, before a space counts as exhausted


@dataclass(frozen=True)
class Proposal:
    """A trial to run: its number in the study and the plain config values to run it with."""

    number: int
    values: dict[str, Any]
    resumed: bool


class Study:
    """Ask, report and tell, one trial at a time.

    Args:
        study: as `open_study` gives it.
        space: config values with ranges (see `afdcd.search.space`).
        trials: how many trials the study has in all, failed ones included.
    """

    def __init__(self, study: optuna.Study, space: Any, trials: int) -> None:
        self.study = study
        self.space = space
        self.trials = trials
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._interrupted = [trial.number for trial in running]
        self._live: dict[int, optuna.Trial] = {}

    def next(self) -> Proposal | None:
        """The next trial: first those that a killed driver left running, then new ones.

        A run is a function of its settings, so none is paid for twice: a repeated proposal is told
        its twin's result, counts for nothing, and another is asked for.
        """
        if self._interrupted:
            trial = self._revive(self._interrupted.pop(0))
            self._live[trial.number] = trial
            return Proposal(trial.number, suggest(self.space, trial), resumed=True)
        for _ in range(ATTEMPTS):
            if len(self.trials_so_far()) >= self.trials:
                return None
            trial = self.study.ask()
            values = suggest(self.space, trial)
            twin = self._twin(trial)
            if twin is None:
                self._live[trial.number] = trial
                return Proposal(trial.number, values, resumed=False)
            trial.set_user_attr(TWIN, twin.number)
            done = twin.state == TrialState.COMPLETE
            self.study.tell(trial, twin.value if done else None, None if done else PRUNED)
        return None  # nothing new is left to try

    def report(self, number: int, iteration: int, value: float, *, last: bool) -> bool:
        """Note an intermediate value; True if the trial should stop (successive halving).

        Args:
            last: the trial ends by itself with this value.
        """
        trial = self._live[number]
        if not math.isfinite(value):
            return True
        if iteration not in self.frozen(number).intermediate_values:
            trial.report(value, iteration)
        return not last and not trial.user_attrs.get(REFERENCE) and trial.should_prune()

    def complete(self, number: int, value: float) -> None:
        """The trial ran to its full length; `value` is its full-length value.

        A value that is no number (no labelled pixel to score) is a failure.
        """
        if math.isfinite(value):
            self._tell(number, TrialState.COMPLETE, value)
        else:
            self.fail(number, f"its score is {value}: has the val split labelled pixels?")

    def prune(self, number: int) -> None:
        self._tell(number, TrialState.PRUNED)

    def fail(self, number: int, cause: str) -> None:
        self._live[number].set_user_attr(CAUSE, cause)
        self._tell(number, TrialState.FAIL)

    def trials_so_far(self) -> list[FrozenTrial]:
        """Every trial that was started."""
        return [
            trial
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state != TrialState.WAITING and TWIN not in trial.user_attrs
        ]

    def values_of(self, trial: FrozenTrial) -> dict[str, Any]:
        """The plain config values that the trial ran with."""
        return resolve(self.space, lambda name, _: trial.params[name])

    def frozen(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def best(self, count: int = 1) -> list[FrozenTrial]:
        """The `count` best full-length trials, best first."""
        done = [trial for trial in self.trials_so_far() if trial.state == TrialState.COMPLETE]
        return sorted(done, key=lambda trial: -trial.value)[:count]

    def _tell(self, number: int, state: TrialState, value: float | None = None) -> None:
        self.study.tell(self._live.pop(number), value, state=state)

    def _twin(self, trial: optuna.Trial) -> FrozenTrial | None:
        """Another trial with the same settings that ran, or runs."""
        for other in self.trials_so_far():
            same = other.number != trial.number and other.params == trial.params
            if same and other.state != TrialState.FAIL:
                return other
        return None

    def _revive(self, number: int) -> optuna.Trial:
        return optuna.Trial(self.study, self.frozen(number)._trial_id)


def open_study(
    url: str, name: str, config: StudyConfig, space: Any, identity: str, source: Source, grace: int
) -> Study:
    """Open or create the study `name` in the database `url`.

    Args:
        identity: digest of all that must not change between two runs of one study.

    Raises:
        UserError: unreachable database, or a study of that name with another search space.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    references = [
        parameters_of(space, block, source, ("study", "enqueue", index))
        for index, block in enumerate(config.enqueue)
    ]
    try:
        storage = optuna.storages.RDBStorage(url, engine_kwargs=_engine_options(url))
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
    except Exception as error:  # the database drivers' errors share no base class
        raise UserError(
            f"study database {_without_password(url)}: cannot be used ({first_line(error)}); "
            "check AFDCD_STUDY_DB"
        ) from None
    known = study.user_attrs.get("identity")
    if known is None:
        study.set_user_attr("identity", identity)
    elif known != identity:
        raise UserError(
            f"study {name!r} exists with another search space or data set; "
            "give this one its own name: study.name=..."
        )
    count = len(study.get_trials(deepcopy=False))
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group=True`
    study.sampler = optuna.samplers.TPESampler(
        # A resumed study must not draw its first random trials again, hence the count.
        seed=derive(config.seed, "sampler", count) % 2**32,
        multivariate=True,
        group=True,
        constant_liar=True,
    )
    study.pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=grace, reduction_factor=config.reduction
    )
    for parameters in references:
        study.enqueue_trial(parameters, user_attrs={REFERENCE: True}, skip_if_exists=True)
    return Study(study, space, config.trials)


def _engine_options(url: str) -> dict[str, Any]:
    """Wait for another writer of the same SQLite file instead of failing at once."""
    return {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://...@{tail}" if at else url
