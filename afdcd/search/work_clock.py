"""How long the drivers of a study have worked, noted as it goes: a killed driver's time counts too."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import optuna

from afdcd.config import UserError
from afdcd.search.ledger import WORKED

EVERY = 15.0  # seconds between two notes: what a driver that is killed may lose


class WorkClock:
    """The time of one driver, beside that of those before it.

    Args:
        driver: the token of its lease; its own entry in the study's note.
        clock: seconds, monotonic.
    """

    def __init__(
        self, study: optuna.Study, driver: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._study, self._driver, self._clock = study, str(driver), clock
        worked = study.user_attrs.get(WORKED, {})
        self._others = {who: hours for who, hours in worked.items() if who != self._driver}
        # A process that takes its own lease up again goes on counting.
        self._began = clock() - 3600 * worked.get(self._driver, 0.0)

    def hours(self) -> float:
        """Of all drivers, up to now."""
        return sum(self._others.values()) + self._own()

    def note(self) -> None:
        self._study.set_user_attr(WORKED, {**self._others, self._driver: self._own()})

    def _own(self) -> float:
        return (self._clock() - self._began) / 3600


@contextmanager
def working(study: optuna.Study, driver: int) -> Iterator[WorkClock]:
    """Counts while the block runs."""
    clock, over = WorkClock(study, driver, time.monotonic), threading.Event()

    def keep_noting() -> None:
        while not over.wait(EVERY):
            with contextlib.suppress(UserError):  # the database is away: the next note says it all
                clock.note()

    thread = threading.Thread(target=keep_noting, name="work clock", daemon=True)
    thread.start()
    try:
        yield clock
    finally:
        over.set()
        thread.join(EVERY)
        with contextlib.suppress(UserError):
            clock.note()
