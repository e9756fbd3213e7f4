"""`python -m afdcd.bench service`: what its figures are made of."""

import argparse
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import torch

from afdcd.bench import service
from afdcd.bench.processes import parse
from afdcd.config import UserError
from tests.running import ROOT

PROFILE = """\
import time: self [us] | cumulative | imported package
import time:       700 |        700 |   torch.nn
import time:      1300 |       2000 | torch
a line that the process printed itself
import time:        50 |         50 | optuna
"""


def test_seconds_are_the_sum_of_what_each_module_took_itself() -> None:
    process = parse(PROFILE)
    assert process.seconds == pytest.approx(0.00205)
    assert process.modules == {"torch.nn", "torch", "optuna"}


def test_sides_take_turns_and_their_medians_are_compared() -> None:
    order = []

    def side(name: str, seconds: list[float]) -> Callable[[], float]:
        return lambda: (order.append(name), seconds.pop(0))[1]

    row = service._in_turn("x", {"a": side("a", [1, 9, 2]), "b": side("b", [8, 4, 5])}, 3)
    assert order == ["a", "b"] * 3
    assert row["seconds"] == {"a": 2, "b": 5}
    sides = [service.Side("a", Path()), service.Side("b", Path())]
    assert "0.40" in service._table(sides, [row])


def test_a_verb_costs_its_own_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that only waits costs nothing, one that computes does."""
    call = service._cpu_call(
        service.Side("here", ROOT), ["timeit", "-n1", "-r1", "sum(range(10**7))"]
    )
    idle = service._cpu_call(service.Side("here", ROOT), ["timeit", "-n1", "-r1", "pass"])
    assert call() > idle() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"against": Path("nowhere")}, "nowhere: no checkout of afdcd"),
        ({"repeats": 0}, "--repeats 0: must be at least 1"),
    ],
)
def test_refuses_what_cannot_be_measured(changes: dict[str, object], message: str) -> None:
    given = {"against": None, "repeats": 1, "verbs_only": True} | changes
    with pytest.raises(UserError, match=message):
        service.measure(argparse.Namespace(**given), torch.device("cpu"))


def test_a_study_is_filled_and_its_driver_timed(tmp_path: Path) -> None:
    side = service.Side("here", ROOT)
    found = service._study(side, 40, f"sqlite:///{tmp_path}/study.db")
    assert found.keys() == {"opening", "next", "report"}
    assert min(found.values()) > 0
    kept = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/study.db").trials
    assert len([t for t in kept if t.state == optuna.trial.TrialState.COMPLETE]) == 40
    with pytest.raises(UserError, match="cannot be measured"):
        service._study(side, 1, "sqlite:////nowhere/study.db")
