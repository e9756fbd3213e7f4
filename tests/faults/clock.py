"""Time that passes only where somebody waits, and threads that run only then.

Everything happens in one real thread, so that a study makes the same calls in the same order each time.
A thread of ours waits in one place, with nothing in hand: there it is left by `Parked`, and its function is
begun anew when its time has come.
"""

import time
from collections.abc import Callable
from typing import Any


class Parked(BaseException):
    """A thread has nothing to do for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Clock:
    """Stands where the modules `time` and `threading` stand in our own ones."""

    strftime, localtime = staticmethod(time.strftime), staticmethod(time.localtime)

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.threads: list[Thread] = []
        self.current: Thread | None = None

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass, and in it whatever the threads do; a thread that sleeps delays itself alone."""
        if self.current:
            self.current.busy = self.now + seconds
        else:
            self.wait_for(lambda: False, seconds)

    def wait_for(self, done: Callable[[], bool], seconds: float) -> bool:
        """Whether it is done within this time."""
        until = self.now + seconds
        while not done():
            thread = min(self.threads, key=lambda one: one.due, default=None)
            if thread is None or thread.due > until:
                self.now = until
                return done()
            self.now = max(self.now, thread.due)
            thread.step()
        return True

    def Thread(self, target: Callable[[], None], name: str, daemon: bool) -> "Thread":  # noqa: N802
        return Thread(self, target)

    def Condition(self) -> "Condition":  # noqa: N802
        return Condition(self)

    def Event(self) -> "Event":  # noqa: N802
        return Event(self)

    def Lock(self) -> "Lock":  # noqa: N802
        return Lock()


class Thread:
    def __init__(self, clock: Clock, target: Callable[[], None]) -> None:
        self._clock, self._target = clock, target
        self.wake = self.busy = clock.now
        self.rested = False  # whether it has waited as long as it wanted to

    @property
    def due(self) -> float:
        return max(self.wake, self.busy)

    def start(self) -> None:
        self._clock.threads.append(self)

    def join(self, seconds: float) -> None:
        """It was told to end."""
        if self in self._clock.threads:
            self._clock.threads.remove(self)

    def step(self) -> None:
        """Run until it waits."""
        self._clock.current = self
        try:
            self._target()
            self.join(0.0)
        except Parked as parked:
            self.wake, self.rested = self._clock.now + parked.seconds, True
        finally:
            self._clock.current = None


class Condition:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[Thread] = []

    def __enter__(self) -> None: ...

    def __exit__(self, *error: Any) -> None: ...

    def notify_all(self) -> None:
        for thread in self._waiting:
            thread.wake = self._clock.now
        self._waiting = []

    def wait(self, seconds: float) -> None:
        assert self._clock.current
        self._waiting.append(self._clock.current)
        raise Parked(seconds)

    def wait_for(self, done: Callable[[], bool], seconds: float) -> bool:
        return self._clock.wait_for(done, seconds)


class Event:
    def __init__(self, clock: Clock) -> None:
        self._clock, self._set = clock, False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float) -> bool:
        thread = self._clock.current
        assert thread
        if not self._set and not thread.rested:
            raise Parked(seconds)
        thread.rested = False
        return self._set


class Lock:
    """A thread that does not get it begins anew a second later."""

    def __init__(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        if self._held:
            raise Parked(1.0)
        self._held = True

    def __exit__(self, *error: Any) -> None:
        self._held = False
