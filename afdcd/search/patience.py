"""A study database that is away for a moment: what it is asked is asked again."""

import time
from collections.abc import Callable
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError

from afdcd.config import UserError
from afdcd.text import first_line

T = TypeVar("T")
LONGEST = 60.0  # seconds; a failover of a managed database takes some tens of them
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
            if waited >= LONGEST:
                raise UserError(
                    f"the study database has not answered for {LONGEST:.0f} s ({first_line(error)}); "
                    "everything that ended is kept: run the same command again when it is back"
                ) from None
        _sleep(pause)
        waited, pause = waited + pause, min(8.0, 2 * pause)
