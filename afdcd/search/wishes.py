"""What people ask of a study from elsewhere: another terminal, or its page in MLflow.

A wish is an attribute of the study in the study database, or a row that waits; the driver looks every
few seconds. So it works wherever the driver runs, and without a port of its own.
"""

import getpass
import platform
from collections.abc import Callable
from typing import Any

import optuna

STOP = "stop"  # attribute: who wants the study stopped
TRIALS = "trials"  # attribute: how many trials it shall have, if that is more than its file says
WRITTEN = "written"  # attribute: the space and the number of trials in the file, for the others


def introduce(study: optuna.Study, space: dict[str, Any], trials: int) -> None:
    """Note what the study's file says, for those who have only the study."""
    study.set_user_attr(WRITTEN, {"space": space, "trials": trials})


def ask_to_stop(study: optuna.Study) -> None:
    study.set_user_attr(STOP, f"{getpass.getuser()}@{platform.node()}")


def extend(study: optuna.Study, trials: int) -> None:
    """Let a study have so many trials in all, if its file asks for fewer."""
    study.set_user_attr(TRIALS, trials)


def trials_of(study: optuna.Study, written: int) -> int:
    """How many trials a study shall have, whose file says `written`."""
    return max(written, study.user_attrs.get(TRIALS, 0))


def stop_wanted(study: optuna.Study) -> str:
    """Who wants the study stopped; empty if nobody does. Each wish is told once."""
    by = study.user_attrs.get(STOP)
    if by:
        study.set_user_attr(STOP, "")
    return f"{by} (afdcd study stop)" if by else ""


def any_of(*asks: Callable[[], str]) -> Callable[[], str]:
    """The first wish that one of these tells."""
    return lambda: next(filter(None, (ask() for ask in asks)), "")
