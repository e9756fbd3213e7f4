"""The instruments: whose turn it is, what a peak is, what does not fit, what a spread allows."""

import pytest
import torch

from afdcd.bench import timing
from afdcd.bench.timing import Timing, interleaved
from afdcd.training.peak_memory import peak_bytes
from benchmarks.curve_report import verdict
from tests.bench.clock import FakeClock

CPU = torch.device("cpu")
FLOATS = 1000
BYTES = 4 * FLOATS


def test_sides_take_turns() -> None:
    order: list[str] = []
    calls = {name: lambda name=name: order.append(name) for name in "AB"}
    timings = interleaved(calls, CPU, repeats=3, inner=2)
    assert "".join(order) == "AABB" * 3
    assert timings["A"].turns == 3


def test_a_turn_is_the_mean_of_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(timing.time, "perf_counter", clock)
    calls = {"A": clock.takes(4.0, 6.0, 1.0, 1.0, 2.0, 2.0), "B": clock.takes(*[0.5] * 6)}
    timings = interleaved(calls, CPU, repeats=3, inner=2)
    assert timings["A"] == Timing(median=2.0, low=1.0, high=5.0, turns=3)
    assert timings["B"] == Timing(median=0.5, low=0.5, high=0.5, turns=3)


def test_slow_sides_take_one_turn_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "PATIENCE", 0.0)
    timings = interleaved({"A": lambda: None, "B": lambda: None}, CPU, repeats=3)
    assert {name: t.turns for name, t in timings.items()} == {"A": 1, "B": 1}


def test_a_side_that_does_not_fit_beside_the_other_is_left_out() -> None:
    assert interleaved({"A": _too_large, "B": lambda: None}, CPU, repeats=2).keys() == {"B"}
    assert peak_bytes(_too_large, CPU) is None


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="must match"):
        peak_bytes(lambda: torch.zeros(2) + torch.zeros(3), CPU)


def test_peak_counts_what_is_alive_at_once() -> None:
    held = torch.zeros(FLOATS)

    def chain() -> None:
        x = held
        for _ in range(5):
            x = x + 1  # the one before is freed as soon as this one stands

    def pile() -> list[torch.Tensor]:
        return [held + 1 for _ in range(5)]

    assert peak_bytes(chain, CPU) == 2 * BYTES
    assert peak_bytes(pile, CPU) == 5 * BYTES
    assert (
        peak_bytes(lambda: held.view(10, -1).add_(1), CPU) == 0
    )  # views and in-place hold nothing


def test_peak_counts_what_backward_needs() -> None:
    x = torch.zeros(FLOATS, requires_grad=True)
    peak = peak_bytes(lambda: torch.autograd.grad(x.exp().exp().sum(), x), CPU)
    assert peak is not None
    assert 3 * BYTES <= peak < 5 * BYTES  # both exponentials are kept, and gradients are made


def test_peak_counts_what_settling_leaves_and_not_what_it_took() -> None:
    kept: list[torch.Tensor] = []

    def settle() -> None:
        kept.append(torch.zeros(9 * FLOATS)[:FLOATS].clone())

    assert peak_bytes(lambda: torch.zeros(FLOATS), CPU, settle=settle) == 2 * BYTES


@pytest.mark.parametrize(
    ("ours", "official", "within"),
    [
        ([0.50, 0.54], [0.51, 0.51], True),  # means 0.52 and 0.51, seeds 0.04 apart
        ([0.50, 0.54], [0.60, 0.62], False),
        ([0.50, 0.50], [0.50, 0.50], True),
    ],
)
def test_verdict_holds_the_difference_against_the_seeds(
    ours: list[float], official: list[float], within: bool
) -> None:
    assert verdict(ours, official)["within_spread"] is within


def test_standard_error_is_that_of_runs_of_one_seed() -> None:
    """Seeds may be far apart: what the two sides differ by in each is what counts."""
    found = verdict([0.10, 0.50, 0.90], [0.09, 0.48, 0.90])  # differ by 0.01, 0.02, 0.00
    assert found["difference"] == pytest.approx(0.01)
    assert found["standard_error"] == pytest.approx(0.01 / 3**0.5)


def _too_large() -> None:
    raise torch.OutOfMemoryError("no room")
