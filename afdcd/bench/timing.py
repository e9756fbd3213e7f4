"""Two or more calls timed in turns, A B A B ..., so that a machine's mood falls on all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

Call = Callable[[], object]

# A comparison that has taken that many seconds makes no further turn.
PATIENCE = 20.0


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: the median of its turns, the shortest and the longest."""

    median: float
    low: float
    high: float
    turns: int

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def interleaved(
    calls: Mapping[str, Call], device: torch.device, *, repeats: int, inner: int = 1
) -> dict[str, Timing]:
    """Time each call `repeats` times in turns, each turn the mean of `inner` calls in a row.

    Slow calls get fewer turns: none begins after `PATIENCE` seconds.
    A call that does not fit in memory beside the others is missing from what is returned.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    started = time.monotonic()
    for turn in range(repeats):
        if turn and time.monotonic() - started > PATIENCE:
            break
        for name in list(seconds):
            try:
                if device.type == "cuda":
                    calls[name]()  # untimed: takes back the memory that the other side cached
                seconds[name].append(_elapsed(calls[name], device, inner))
            except torch.OutOfMemoryError:
                del seconds[name]
    return {name: _timing(values) for name, values in seconds.items()}


def _timing(seconds: list[float]) -> Timing:
    return Timing(statistics.median(seconds), min(seconds), max(seconds), len(seconds))


def _elapsed(call: Call, device: torch.device, inner: int) -> float:
    """Mean seconds of one of `inner` calls in a row, up to the end of the device's work."""
    if device.type != "cuda":
        started = time.perf_counter()
        for _ in range(inner):
            call()
        return (time.perf_counter() - started) / inner
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(inner):
        call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000 / inner
