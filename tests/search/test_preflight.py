"""What a person is told of a valid search space before it runs."""

from pathlib import Path
from typing import Any

import pytest

from afdcd import tune
from afdcd.search import preflight
from afdcd.search.load import load_space

SPACE = """data: {dataset: synthetic, root: shards, crop: [130, 200]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher:
    model: {head: pspnet, encoder: "timm:resnet10t"}
    train: {iterations: 20, validate_every: 10, batch: 4}
distiller:
  choice:
    - {method: none}
    - {method: mgd}
    - method: afdcd
      tau: {log: [0.05, 1.0]}
      patch: {choice: [2, [1, 5]]}
      pool: 2
training: {iterations: 4, validate_every: 2, batch: 4}
"""


def _notes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is said before the plan."""
    notes, valid, _ = capsys.readouterr().out.partition("valid, ")
    assert valid
    return notes.splitlines()[:-1]


def test_what_the_contrast_cuts_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(SPACE)
    assert tune.main([str(file), "--check"]) == 0
    assert sorted(_notes(capsys)) == [
        "note: crop 130x200: contrast: pool 2 and patch 1x5 use 16x20 of the 17x25 feature map "
        "(24.7 % of it unused); crops of multiples of 16x80 pixels lose nothing",
        "note: crop 130x200: contrast: pool 2 and patch 2x2 use 16x24 of the 17x25 feature map "
        "(9.6 % of it unused); crops of multiples of 32x32 pixels lose nothing",
    ]


def test_nothing_is_said_where_nothing_is_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(SPACE)
    assert tune.main([str(file), "data.crop=[160, 160]", "--check"]) == 0
    assert _notes(capsys) == []


def test_a_protocol_that_leaves_nothing_to_report_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(SPACE)
    arguments = [str(file), "data.dataset=voc", "data.crop=[160, 160]", "--check"]
    assert tune.main([*arguments, "data.protocol=official"]) == 0
    assert _notes(capsys) == [
        "note: protocol official: val selects and no labelled split is left to report; "
        "use protocol dev"
    ]
    assert tune.main(arguments) == 0
    assert _notes(capsys) == []


@pytest.mark.parametrize(
    ("protocol", "opened"), [("official", ["train", "val"]), ("dev", ["train", "val", "test"])]
)
def test_only_splits_that_are_used_must_have_rows(
    protocol: str, opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(preflight, "check_sizes", lambda root, manifest: None)
    monkeypatch.setattr(preflight, "open_splits", lambda *place: asked.extend(place[-1]))
    file = tmp_path / "s.yaml"
    file.write_text(SPACE)
    space = load_space(str(file), ["data.dataset=cityscapes", f"data.protocol={protocol}"])
    manifest: Any = None
    preflight.check_data(space, "shards", manifest)
    assert asked == opened
