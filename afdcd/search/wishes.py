"""What people ask of a study from elsewhere: another terminal, or its page in MLflow.

A wish is an attribute of the study in the study database, or a row that waits; the driver looks every
few seconds. So it works wherever the driver runs, and without a port of its own.
"""

import getpass
import platform
from collections.abc import Callable, Mapping
from typing import Any

import optuna

from afdcd.config import validate
from afdcd.search.config import BudgetConfig
from afdcd.tasks.score import DEFAULT_MEASURE, Measure

STOP = "stop"  # attribute: who wants the study stopped
TRIALS = "trials"  # attribute: how many trials it shall have, if that is more than its file says
MEASURE = "measure"  # attribute: what its runs are compared by, if not by the default
BUDGET = "budget"  # attribute: limits of its budget, where they are above what its file says
PER = "budget_per"  # key of the choice that the budget is divided by, where it is
WRITTEN = "written"  # attribute: space, number of trials and budget in the file, for the others


def introduce(
    study: optuna.Study,
    space: dict[str, Any],
    trials: int,
    budget: BudgetConfig | None = None,
    measure: Measure = DEFAULT_MEASURE,
    budget_per: str | None = None,
) -> None:
    """Note what the study's file says, for those who have only the study."""
    if measure != DEFAULT_MEASURE:
        study.set_user_attr(MEASURE, measure.plain())
    limits = (budget or BudgetConfig()).plain()
    written = {"space": space, "trials": trials, BUDGET: limits, PER: budget_per}
    study.set_user_attr(WRITTEN, written)


def measure_of(attributes: Mapping[str, Any]) -> Measure:
    """What the runs of a study with these attributes are compared by."""
    said = attributes.get(MEASURE)
    return validate(Measure, said) if said else DEFAULT_MEASURE


def ask_to_stop(study: optuna.Study) -> None:
    study.set_user_attr(STOP, f"{getpass.getuser()}@{platform.node()}")


def extend(study: optuna.Study, trials: int) -> None:
    """Let a study have so many trials in all, if its file asks for fewer."""
    study.set_user_attr(TRIALS, trials)


def trials_of(attributes: Mapping[str, Any], written: int) -> int:
    """How many trials a study with these attributes shall have, whose file says `written`."""
    return max(written, attributes.get(TRIALS, 0))


def raise_budget(study: optuna.Study, **limits: float) -> None:
    """Let a study spend so much in all, if its file allows less."""
    study.set_user_attr(BUDGET, {**study.user_attrs.get(BUDGET, {}), **limits})


def budget_of(study: optuna.Study, written: BudgetConfig) -> BudgetConfig:
    """What a study may spend, whose file says `written`; what the file does not limit nobody does."""
    raised = study.user_attrs.get(BUDGET, {})
    limits = {key: value for key, value in written.plain().items() if value is not None}
    return written.updated(**{k: max(v, raised.get(k, 0)) for k, v in limits.items()})


def stop_wanted(study: optuna.Study) -> str:
    """Who wants the study stopped; empty if nobody does. Each wish is told once."""
    by = study.user_attrs.get(STOP)
    if by:
        study.set_user_attr(STOP, "")
    return f"{by} (afdcd study stop)" if by else ""


def any_of(*asks: Callable[[], str]) -> Callable[[], str]:
    """The first wish that one of these tells."""
    return lambda: next(filter(None, (ask() for ask in asks)), "")
