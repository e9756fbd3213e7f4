"""How far a run is between two validations: a small file that its first worker keeps rewriting.

Only what the host knows anyway goes into it, so the device is never waited for, and a thread writes
it, so a slow store delays no training. It is for people who look on, for the watchdog, and it is the
ledger: every attempt at the run, with the time that it held its devices.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Literal

from afdcd import storage
from afdcd.config import FrozenConfig
from afdcd.text import first_line

FILE = "pulse.json"
EVERY = 5.0  # seconds between two pulses of one phase; a change of phase is told at once
LINGER = 2.0  # seconds that the end of a run waits for its last pulse to be written

Phase = Literal["starting", "training", "validating"]


class Attempt(FrozenConfig):
    """One attempt at a run, from its first worker's start to its last sign of life.

    Attributes:
        started: in Unix seconds of the worker's clock, as `at`.
        devices: GPUs, or CPU workers, that it held.
        node: the machine of the first worker.
    """

    started: float
    at: float
    devices: int
    device: str
    node: str = ""

    @property
    def device_seconds(self) -> float:
        return max(0.0, self.at - self.started) * self.devices


class Pulse(FrozenConfig):
    """How far a run is.

    Attributes:
        iteration: iterations that the host has handed to the device; 0 while starting.
        images_per_second: over all workers, since the previous pulse or since training went on.
        loss: the sum of all terms, as last read for the curve.
        images: validated by the first worker since the validation began.
        attempts: all so far, this one last.
    """

    phase: Phase
    iteration: int
    iterations: int
    images_per_second: float | None = None
    loss: float | None = None
    images: int = 0
    attempts: tuple[Attempt, ...]

    @property
    def at(self) -> float:
        """When this was written, in Unix seconds of the worker's clock."""
        return self.attempts[-1].at

    @property
    def node(self) -> str:
        """The machine of the first worker."""
        return self.attempts[-1].node

    @property
    def sign(self) -> tuple[object, ...]:
        """Changes whenever the run has come further."""
        return (self.attempts[-1].started, self.phase, self.iteration, self.images)


def read(folder: str) -> Pulse | None:
    """The last pulse of the run in `folder` (path or URI); None where there is none to be read."""
    try:
        return found(folder)
    except Exception:  # a store's own errors are many, and none is worth a run
        return None


def found(folder: str) -> Pulse | None:
    """The same for one who must know whether the store answers.

    Raises:
        Exception: it does not; a store's own errors are many.
    """
    try:
        return Pulse.model_validate_json(storage.read_bytes(storage.join(folder, FILE)))
    except (FileNotFoundError, ValueError):
        return None


def attempts(folder: str) -> tuple[Attempt, ...]:
    """What was spent on the run in `folder`; nothing where that cannot be read."""
    last = read(folder)
    return last.attempts if last else ()


def write(folder: str, pulse: Pulse) -> None:
    """Replace the pulse of the run in `folder`.

    Raises:
        UserError: the place cannot be written to.
    """
    storage.write_bytes(storage.join(folder, FILE), pulse.model_dump_json().encode())


class Pulses:
    """Says how far a run is, at most every few seconds; called once per iteration, so it is cheap.

    Args:
        batch: images per iteration, over all workers.
        attempt: this one, as it begins.
        earlier: what was attempted before.
        post: what takes a pulse without waiting.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        iterations: int,
        batch: int,
        attempt: Attempt,
        post: Callable[[Pulse], None],
        *,
        earlier: tuple[Attempt, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.loss: float | None = None
        self._attempt, self._earlier, self._images = attempt, earlier, 0
        self._iterations, self._batch, self._post, self._clock = iterations, batch, post, clock
        self._rate: float | None = None
        self._phase: Phase = "starting"
        self._since = (clock(), 0)  # the last pulse's moment and iteration
        self._tell("starting", 0)

    def trained(self, iteration: int) -> None:
        """So many iterations have been handed to the device."""
        if self._phase == "training" and self._elapsed() < EVERY:
            return
        self._tell("training", iteration)

    def validating(self, iteration: int) -> None:
        """A validation begins."""
        self._images = 0
        self._tell("validating", iteration)

    def validated(self) -> None:
        """One image more."""
        self._images += 1
        if self._elapsed() >= EVERY:
            self._tell("validating", self._since[1])

    def ended(self) -> None:
        """The attempt is over."""
        self._tell(self._phase, self._since[1])

    def device_seconds(self) -> float:
        """Of all attempts, up to now."""
        return sum(attempt.device_seconds for attempt in self._attempts())

    def _attempts(self) -> tuple[Attempt, ...]:
        return (*self._earlier, self._attempt.updated(at=time.time()))

    def _elapsed(self) -> float:
        return self._clock() - self._since[0]

    def _tell(self, phase: Phase, iteration: int) -> None:
        # Of less than a second nothing can be said: a device works behind its host.
        if self._phase == "training" and (elapsed := self._elapsed()) >= 1:
            self._rate = (iteration - self._since[1]) * self._batch / elapsed
        self._phase = phase
        self._since = (self._clock(), iteration)
        known = self.loss is not None and math.isfinite(self.loss)
        self._post(
            Pulse(
                phase=phase,
                iteration=iteration,
                iterations=self._iterations,
                images_per_second=self._rate,
                loss=self.loss if known else None,
                images=self._images,
                attempts=self._attempts(),
            )
        )


class Mailbox:
    """Writes the newest pulse that was put into it, in a thread of its own.

    One that has not been written when the next arrives is dropped. What cannot be written is told
    once.
    """

    def __init__(self, write: Callable[[Pulse], None]) -> None:
        self._write = write
        self._newest: Pulse | None = None
        self._open, self._warned = True, False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    def put(self, pulse: Pulse) -> None:
        with self._changed:
            self._newest = pulse
            self._changed.notify()

    def close(self) -> None:
        """Write what is left, if that takes no longer than a moment."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join(LINGER)

    def _run(self) -> None:
        while pulse := self._taken():
            try:
                self._write(pulse)
            except Exception as error:
                if not self._warned:
                    cause = first_line(error)
                    logging.getLogger(__name__).warning("no pulse: %s", cause)
                self._warned = True

    def _taken(self) -> Pulse | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest or not self._open)
            pulse, self._newest = self._newest, None
            return pulse
