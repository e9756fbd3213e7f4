"""`bench prepare` on a handful of pairs: every run is there, and judged pictures were prepared."""

import json

import pytest

from afdcd.bench.__main__ import main
from afdcd.bench.prepare import KINDS
from afdcd.cli import run


@pytest.mark.timeout(120)
def test_each_kind_is_prepared_at_three_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--large", "1", "--small", "2", "--workers", "1", "--json"]) == 0
    text, _, line = capsys.readouterr().out.rstrip().rpartition("\n")
    values = json.loads(line)
    counts = [(found["kind"], found["images"]) for found in values["runs"]]
    large, small = (kind.name for kind in KINDS.values())
    assert counts == [(large, 2), (large, 3), (large, 5), (small, 3), (small, 5), (small, 9)]
    for found in values["runs"]:
        assert found["images_per_second"] > 0
        assert found["peak_bytes"] > found["idle_bytes"] > 0
    assert values["peak_growth"].keys() == {large, small}
    assert "largest peak over smallest, up to 4x the images" in text


def test_nothing_to_measure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main, ["prepare", "--large", "0"]) == 2
    assert "must be at least 1" in capsys.readouterr().err
