"""A study database that is away for a moment: what it is asked is asked again."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError

from afdcd.config import UserError
from afdcd.text import first_line

T = TypeVar("T")
LONGEST = 60.0  # seconds; a failover of a managed database takes some tens of them
_longest = ContextVar("longest", default=LONGEST)
_sleep = time.sleep


def patiently(call: Callable[[], T]) -> T:
    """The call's result; the call is repeated while the database does not answer.

    The call must bear repetition: it may have been done although no answer came.

    Raises:
        UserError: it did not answer for a minute.
    """
    waited, pause = 0.0, 0.5
    while True:
        try:
            return call()
        except (StorageInternalError, DBAPIError) as error:
            if waited >= _longest.get():
                raise UserError(
                    f"the study database has not answered for {LONGEST:.0f} s ({first_line(error)}); "
                    "everything that ended is kept: run the same command again when it is back"
                ) from None
        _sleep(pause)
        waited, pause = waited + pause, min(8.0, 2 * pause)


def briefly(call: Callable[[], T], otherwise: T) -> T:
    """The call's result; `otherwise` where the database does not answer at once.

    For what can as well be asked a little later, by a loop that nothing may hold up.
    """
    known = _longest.set(0.0)
    try:
        return call()
    except UserError:
        return otherwise
    finally:
        _longest.reset(known)
