"""The lines a person reads while the street scenes are rendered."""

import pytest

from afdcd.search import rendering as rendered
from afdcd.search.rendering import Rendering


def test_rendering_is_announced_and_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(rendered.time, "monotonic", lambda: now[0])
    rendering = Rendering()
    rendering.begin(30, 0)
    for second in range(1, 16):  # two scenes a second
        now[0] = float(second)
        rendering(2, 1000)
    said = [line.partition("] ")[2] for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "renders 30 street scenes",
        "12 of 30 street scenes are rendered",
        "24 of 30 street scenes are rendered",
    ]
