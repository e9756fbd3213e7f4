"""Who may write a study: one driver at a time, by a row in the study database.

The holder raises the row's beat every few seconds. Whoever wants the lease too looks at the beat, not at
clocks, which differ between machines: while it rises, the holder lives and keeps the lease; after `SILENCE`
without a beat it is taken over, at once where the holder was a process of this machine that is gone. Each
holder has a higher token than the one before, and what is committed to the database is checked against it,
so a driver that was frozen and comes back can write nothing.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.exc import SQLAlchemyError

from afdcd.config import UserError
from afdcd.search import holder, leases
from afdcd.search.leases import Held, table
from afdcd.search.patience import patiently

BEAT = 5.0  # seconds between two beats
SILENCE = 30.0  # seconds without a beat after which a holder counts as gone
TRIES = 3  # at giving it back
LOOK = 0.5  # seconds between two looks at a lease that another holds


class LeaseLostError(UserError):
    """Another driver holds what this one held."""


class Lease:
    """A lease that this process holds.

    Attributes:
        token: higher than that of every earlier holder.
        lost: set as soon as it is known that another process holds it.
    """

    def __init__(self, engine: Engine, name: str, token: int) -> None:
        self.name, self.token, self.lost = name, token, threading.Event()
        self._engine, self._over = engine, threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def fence(self, engine: Engine) -> None:
        """From now on nothing is committed through this engine while another holds the lease."""
        query = select(table.c.token).where(table.c.name == self.name)
        if engine.dialect.name != "sqlite":  # whose writers exclude each other anyway
            query = query.with_for_update(read=True)
        options = {"literal_binds": True}
        text = str(query.compile(dialect=engine.dialect, compile_kwargs=options))
        event.listen(engine, "commit", partial(self._check_in, text))

    def holds(self) -> bool:
        """To be asked before something is written elsewhere than into the study database.

        While the database is away nobody can take the lease over.
        """
        with contextlib.suppress(SQLAlchemyError):
            held = leases.read(self._engine, self.name)
            if not held or held.token != self.token:
                self.lost.set()
        return not self.lost.is_set()

    def error(self) -> LeaseLostError:
        self.lost.set()
        by = None
        with contextlib.suppress(SQLAlchemyError):
            by = leases.read(self._engine, self.name)
        return LeaseLostError(
            f"{self.name} was taken over by {by or 'another driver'}, for this one was silent for too "
            "long; it stops here, and nothing is lost"
        )

    def close(self) -> None:
        """Give it back, so that the next driver need not wait."""
        self._over.set()
        self._thread.join(2 * BEAT)
        for _ in range(TRIES):  # in vain, the next driver waits for the silence
            with contextlib.suppress(SQLAlchemyError):
                own = table.c.token == self.token
                leases.write(self._engine, self.name, own, holder="", process="")
                break
            time.sleep(LOOK)
        self._engine.dispose()

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with contextlib.suppress(SQLAlchemyError):  # away: what is written is checked anyway
                own = table.c.token == self.token
                if not leases.write(self._engine, self.name, own, beat=table.c.beat + 1):
                    self.lost.set()
                    return

    def _check_in(self, text: str, connection: Connection) -> None:
        """Within the transaction that is about to be committed, so that nobody can come between."""
        with contextlib.closing(connection.connection.cursor()) as cursor:
            cursor.execute(text)
            row = cursor.fetchone()
        if row is None or row[0] != self.token:
            raise self.error()


@contextmanager
def hold(
    url: str, name: str, waits: Callable[[Held], bool] = lambda held: False
) -> Iterator[Lease]:
    """Hold the lease of this name in the database `url`.

    Args:
        name: what only one driver may do at a time, e.g. "study street".
        waits: told of a holder that lives; whether to wait for it.

    Raises:
        UserError: another driver holds it, or the database cannot be used.
    """
    engine = leases.connect(url)
    lease = Lease(engine, name, _taken(engine, name, waits))
    try:
        yield lease
    finally:
        lease.close()


def _taken(engine: Engine, name: str, waits: Callable[[Held], bool]) -> int:
    """The token of this process, once it is the holder."""
    seen, own = Seen(), holder.identity()
    while True:
        held = patiently(lambda: leases.read(engine, name))
        if held and held.process == own:  # it was claimed, and the answer was lost
            return held.token
        if held is None or seen.is_gone(held):
            token = patiently(partial(leases.claim, engine, name, held, own))
            if token is not None:
                return token
        elif seen.lives and not waits(held):
            raise UserError(
                f"{name} is being run by {held}; wait for it, stop it, or give this one its own "
                "name: study.name=..."
            )
        time.sleep(LOOK)


class Seen:
    """Tells a holder that lives from one that is gone, by what has been seen of its row."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._row: tuple[int, int] | None = None  # token and beat
        self._since = clock()
        self.lives = False

    def is_gone(self, held: Held) -> bool:
        if not held.holder or holder.has_ended(held.process):
            return True
        now, row = self._clock(), (held.token, held.beat)
        if row != self._row:
            self.lives = self._row is not None or holder.runs_here(held.process)
            self._row, self._since = row, now
        return now - self._since > SILENCE
