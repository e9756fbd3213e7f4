"""What waits to be written: the newest record of each run, and when it is to be tried again.

A plain state machine without a clock or a thread of its own: the time is handed in.
"""

from dataclasses import dataclass
from typing import Any

FIRST, LONGEST = 1.0, 30.0  # seconds between two attempts


@dataclass
class Letter:
    """One record on its way.

    Attributes:
        urgent: its end is written before anything else is.
        due: when it may be tried.
        delay: seconds that were waited before the latest attempt.
    """

    key: Any
    record: Any
    urgent: bool = False
    due: float = 0.0
    delay: float = 0.0


class Outbox:
    """Letters by key; a newer record takes the place of the one that waits."""

    def __init__(self) -> None:
        self._letters: dict[Any, Letter] = {}

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, key: Any, record: Any, *, urgent: bool = False) -> None:
        """Note the newest record; where the last attempt failed, its time stays."""
        old = self._letters.get(key)
        due, delay = (old.due, old.delay) if old else (0.0, 0.0)
        self._letters[key] = Letter(key, record, urgent, due, delay)

    def next(self, now: float) -> Letter | None:
        """What to try now: what is urgent first, then what has waited longest."""
        due = [letter for letter in self._letters.values() if letter.due <= now]
        return min(due, key=lambda letter: not letter.urgent, default=None)

    def wait(self, now: float) -> float | None:
        """Seconds until something is due; None: until something is put."""
        return min((max(0.0, x.due - now) for x in self._letters.values()), default=None)

    def delivered(self, letter: Letter) -> None:
        """Forget it, unless a newer one came or only its end was written."""
        if self._letters.get(letter.key) is not letter:
            return
        if letter.urgent:
            self._letters[letter.key] = Letter(letter.key, letter.record)
        else:
            del self._letters[letter.key]

    def failed(self, letter: Letter, now: float) -> None:
        """Try again later, each time after twice as long."""
        current = self._letters[letter.key]  # perhaps a newer one, whose turn comes no sooner
        current.delay = min(LONGEST, max(FIRST, 2 * letter.delay))
        current.due = now + current.delay

    def hurry(self) -> None:
        """Try all once more at once."""
        for letter in self._letters.values():
            letter.due = letter.delay = 0.0
