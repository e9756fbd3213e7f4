"""A clock that moves by what a call is said to take."""

from collections.abc import Callable


class FakeClock:
    """Stands in for `time.perf_counter` and its like; `now` in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def takes(self, *seconds: float) -> Callable[[], None]:
        """A call that takes so long, the first time, the second time, and so on."""
        remaining = iter(seconds)

        def call() -> None:
            self.now += next(remaining)

        return call
