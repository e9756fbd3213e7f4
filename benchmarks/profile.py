"""Where the time of our step goes: by phase, and by kernel."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from afdcd.bench.report import OURS
from benchmarks.pairs import Contest

STEPS = 5
KERNELS = 25
PHASES = {
    ("teacher begins", "teacher ends"): "teacher",
    ("teacher ends", "distiller begins"): "student forward, task loss",
    ("distiller begins", "distiller ends"): "distiller forward",
    ("distiller ends", "optimizer begins"): "backward, clipping",
    ("optimizer begins", "optimizer ends"): "optimizer",
}


def phases(contest: Contest) -> dict[str, float]:
    """Median seconds of each phase of `STEPS` of our steps; "other" is the rest of the step."""
    clock = _Clock(contest.device)
    with _watched(clock, contest.learner):
        for _ in range(STEPS):
            clock.mark("begin")
            contest.call(OURS)()
            clock.mark("end")
    return _durations(clock)


def kernels(contest: Contest) -> str:
    """The profiler's table of the kernels that take most of our step."""
    gpu = contest.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=activities) as profiler:
        contest.call(OURS)()
        if gpu:
            torch.cuda.synchronize()
    by = "self_device_time_total" if gpu else "self_cpu_time_total"
    averages = profiler.key_averages()
    return averages.table(sort_by=by, row_limit=KERNELS, max_name_column_width=70)


class _Clock:
    """Named moments of the device's own time, in the order in which they were passed."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._moments: list[tuple[str, Any]] = []

    def mark(self, name: str) -> None:
        moment: Any = time.perf_counter()
        if self._gpu:
            moment = torch.cuda.Event(enable_timing=True)
            moment.record()
        self._moments.append((name, moment))

    def intervals(self) -> list[tuple[str, str, float]]:
        """Each two moments in a row, and the seconds between them."""
        if self._gpu:
            torch.cuda.synchronize()
        pairs = zip(self._moments, self._moments[1:], strict=False)
        return [(a, b, self._seconds(start, end)) for (a, start), (b, end) in pairs]

    def _seconds(self, start: Any, end: Any) -> float:
        return start.elapsed_time(end) / 1e3 if self._gpu else end - start


@contextmanager
def _watched(clock: _Clock, learner: Any) -> Iterator[None]:
    """Mark where the phases begin and end."""
    gradient, distiller, optimizer = learner.gradient, learner.step.distiller, learner.optimizer
    teacher = gradient.teacher

    def marked(images: torch.Tensor) -> Any:
        clock.mark("teacher begins")
        output = teacher(images)
        clock.mark("teacher ends")
        return output

    hooks = [
        distiller.register_forward_pre_hook(_marker(clock, "distiller begins")),
        distiller.register_forward_hook(_marker(clock, "distiller ends")),
        optimizer.register_step_pre_hook(_marker(clock, "optimizer begins")),
        optimizer.register_step_post_hook(_marker(clock, "optimizer ends")),
    ]
    gradient.teacher = marked
    try:
        yield
    finally:
        gradient.teacher = teacher
        for hook in hooks:
            hook.remove()


def _marker(clock: _Clock, name: str) -> Callable[..., None]:
    def hook(*_: Any) -> None:
        clock.mark(name)

    return hook


def _durations(clock: _Clock) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    other = 0.0
    for begin, end, seconds in clock.intervals():
        if phase := PHASES.get((begin, end)):
            found[phase].append(seconds)
        elif begin != "end":
            other += seconds
    durations = {phase: statistics.median(found[phase]) for phase in PHASES.values()}
    return {**durations, "other": other / STEPS}
