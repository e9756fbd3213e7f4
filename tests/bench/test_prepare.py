"""`bench prepare` on a handful of pairs: every run is there, and judged pictures were prepared."""

import json
from typing import Any

import pytest

from afdcd.bench import prepare
from afdcd.bench.__main__ import main
from afdcd.bench.prepare import KINDS, Kind
from afdcd.cli import run


def test_a_run_says_how_fast_and_how_large_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One kind, small, at one size: each run is a process of its own."""
    tiny = Kind("96x128 JPEG", 96, 128, "jpg")
    monkeypatch.setattr(prepare, "KINDS", {"small": tiny})
    monkeypatch.setattr(prepare, "_TIMES", (1,))
    text, values = _bench(capsys, "--small", "2")
    assert [(found["kind"], found["images"]) for found in values["runs"]] == [(tiny.name, 3)]
    _assert_measured(values, {tiny.name})
    assert "largest peak over smallest, up to 1x the images" in text


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_each_kind_is_prepared_at_three_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    text, values = _bench(capsys, "--large", "1", "--small", "2")
    counts = [(found["kind"], found["images"]) for found in values["runs"]]
    large, small = (kind.name for kind in KINDS.values())
    assert counts == [(large, 2), (large, 3), (large, 5), (small, 3), (small, 5), (small, 9)]
    _assert_measured(values, {large, small})
    assert "largest peak over smallest, up to 4x the images" in text


def test_nothing_to_measure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main, ["prepare", "--large", "0"]) == 2
    assert "must be at least 1" in capsys.readouterr().err


def _bench(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[str, dict[str, Any]]:
    assert main(["prepare", *argv, "--workers", "1", "--json"]) == 0
    text, _, line = capsys.readouterr().out.rstrip().rpartition("\n")
    return text, json.loads(line)


def _assert_measured(values: dict[str, Any], kinds: set[str]) -> None:
    for found in values["runs"]:
        images, seconds = found["images"], found["seconds"]
        assert found["images_per_second"] == pytest.approx(images / seconds)
        # PNG of rendered scenes: between a hundredth and three bytes a pixel, label included.
        pixels = 96 * 128 if kinds == {"96x128 JPEG"} else 480 * 640
        assert 0.01 * pixels < 1e6 * found["megabytes_per_second"] * seconds / images
        assert found["peak_bytes"] > found["idle_bytes"] > 0
    assert values["peak_growth"].keys() == kinds
