"""Finds what hangs: a run, or a measurement, that has not come further for far longer than it should.

A new iteration, a validated image, a change of phase or a report is news. How long may pass without depends
on how long it usually does; while a run waits for a place on the cluster, or the store that would tell of it
does not answer, no time passes.
"""

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from afdcd.search.watched import duration
from afdcd.training import pulse

FIRST = 1800.0  # seconds, before anything is known: a start may fetch weights and compile
LEAST = 600.0  # seconds
TIMES = 20  # the median of what passed between two pieces of news
LOOK = 10.0  # seconds between two looks
AT_ONCE = 8  # folders read at the same time: a store answers slowly, and many at once


class Watch:
    """What is known of one run's news; time is handed in."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._seen: Any = None  # at first what an earlier attempt left
        self._news = 0
        self._gaps: list[float] = []  # between two pieces of news; the start is none

    def hear(self, sign: Any, now: float) -> None:
        """`sign` differs from the last one exactly if there is news."""
        known, self._seen = self._seen, sign
        if known is None or sign == known:
            return
        if self._news:
            self._gaps.append(now - self._since)
        self._news, self._since = self._news + 1, now

    def rest(self, now: float) -> None:
        """Up to now nothing could be heard."""
        self._since = now

    @property
    def limit(self) -> float:
        """Seconds that may pass without news."""
        return max(LEAST, TIMES * statistics.median(self._gaps)) if self._gaps else FIRST

    def hangs(self, now: float) -> str:
        """Why it counts as hung; empty as long as it does not."""
        silent = now - self._since
        return f"no sign of life for {duration(silent)}" if silent > self.limit else ""


class _Watched:
    """An attempt, and what was read in its folder."""

    def __init__(self, folder: str, watch: Watch) -> None:
        self.folder, self.watch, self.wrote = folder, watch, False
        self._first: tuple[pulse.Pulse | None] | None = None

    def hear(self, last: pulse.Pulse | None, now: float) -> None:
        self._first = self._first or (last,)  # which an earlier attempt may have left
        self.wrote = self.wrote or last != self._first[0]
        self.watch.hear(last.sign if last else (), now)


class Watchdog:
    """Watches runs by what they write into their folders, in threads of its own: a store may be slow.

    Args:
        hear: the last pulse in a folder; raises where the store does not answer.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        hear: Callable[[str], pulse.Pulse | None] = pulse.found,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hear, self._clock = hear, clock
        self._watches: dict[str, _Watched] = {}  # by the id of the attempt
        self._lock, self._over = threading.Lock(), threading.Event()

    def watch(self, attempt: str, folder: str) -> None:
        with self._lock:
            self._watches[attempt] = _Watched(folder, Watch(self._clock()))

    def forget(self, attempt: str) -> None:
        with self._lock:
            self._watches.pop(attempt, None)

    def rest(self, attempt: str) -> None:
        """The attempt waits for its place, and need not give news."""
        with self._lock:
            if attempt in self._watches:
                self._watches[attempt].watch.rest(self._clock())

    def has_place(self, attempt: str) -> bool:
        """Whether it was seen to write: its processes have their place on the cluster."""
        with self._lock:
            return attempt in self._watches and self._watches[attempt].wrote

    def hung(self) -> dict[str, str]:
        """Attempts that hang, and why they count as such."""
        with self._lock:
            now = self._clock()
            found = {name: one.watch.hangs(now) for name, one in self._watches.items()}
        return {name: why for name, why in found.items() if why}

    def look(self) -> None:
        """Read what every attempt has written."""
        with self._lock:
            watched = list(self._watches.values())
        with ThreadPoolExecutor(AT_ONCE, "watchdog") as threads:
            list(threads.map(self._read, watched))

    def _read(self, one: _Watched) -> None:
        try:
            last = self._hear(one.folder)
        except Exception:  # a store's own errors are many; none of them is the run's fault
            with self._lock:
                one.watch.rest(self._clock())
            return
        with self._lock:
            one.hear(last, self._clock())

    def start(self) -> None:
        self._over.clear()
        threading.Thread(target=self._work, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _work(self) -> None:
        while not self._over.wait(LOOK):
            self.look()
