"""Pulses of a run, made for tests."""

from typing import Any

from afdcd.training.pulse import Attempt, Pulse


def attempt(at: float = 2.0, started: float = 1.0, **changes: Any) -> Attempt:
    return Attempt(**{"started": started, "at": at, "devices": 1, "device": "cpu", **changes})


def pulse_of(at: float = 2.0, started: float = 1.0, node: str = "", **changes: Any) -> Pulse:
    """A pulse of a run's first attempt; what is not given is that of a run that trains."""
    given = {"phase": "training", "iteration": 1, "iterations": 4, **changes}
    return Pulse(**{"attempts": (attempt(at, started, node=node),), **given})
