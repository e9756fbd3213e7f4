"""Where a step's time goes: what lies between two marks belongs to one phase, the rest to none."""

import pytest
import torch

from benchmarks import profile
from tests.bench.clock import FakeClock


def test_phases_are_medians_over_steps_and_the_rest_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(profile.time, "perf_counter", clock)
    marks = profile._Clock(torch.device("cpu"))
    for step in range(profile.STEPS):
        _step(marks, clock, teacher=1.0 + step)
        clock.now += 1000.0  # between two steps: counted nowhere
    found = profile._durations(marks)
    assert found == {
        "teacher": 3.0,  # of 1, 2, 3, 4, 5
        "student forward, task loss": 0.25,
        "distiller forward": 0.5,
        "backward, clipping": 0.125,
        "optimizer": 0.0625,
        "other": 2.0,
    }


def _step(marks: profile._Clock, clock: FakeClock, teacher: float) -> None:
    for name, seconds in (
        ("begin", 1.5),
        ("teacher begins", teacher),
        ("teacher ends", 0.25),
        ("distiller begins", 0.5),
        ("distiller ends", 0.125),
        ("optimizer begins", 0.0625),
        ("optimizer ends", 0.5),
        ("end", 0.0),
    ):
        marks.mark(name)
        clock.now += seconds
