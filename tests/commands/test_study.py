"""The words of `afdcd study`."""

from typing import Any

import pytest

from afdcd import study
from afdcd.cli import run
from afdcd.commands import study as commands

GIVEN = {
    "20": (20, {}),
    "--device-hours 50": (None, {"device_hours": 50.0}),
    "3 --wall-clock 90m": (3, {"wall_clock": 1.5}),
    "--wall-clock 2 --device-hours 0.5": (None, {"wall_clock": 2.0, "device_hours": 0.5}),
}


@pytest.mark.parametrize("words", GIVEN)
def test_extend_takes_trials_and_what_to_add_to_a_budget(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(commands, "execute_extend", lambda name, *given: asked.append(given) or 0)
    assert run(study.main, ["extend", "street", *words.split()]) == 0
    assert asked == [GIVEN[words]]


def test_extend_says_what_a_duration_looks_like(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(study.main, ["extend", "street", "--wall-clock", "5 hours"]) == 2
    assert "'5 hours' is no duration; write 36h, 90m or 2d" in capsys.readouterr().err
