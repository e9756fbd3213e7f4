"""The summary of a finished study."""

from pathlib import Path

import pytest

from afdcd.commands import tune
from afdcd.search.conclude import Conclusion
from afdcd.search.load import load_space
from afdcd.search.progress import Row
from afdcd.search.rows import RunKey
from afdcd.search.winners import Candidate, Registered
from afdcd.tasks.score import Score
from tests.examples import trial

SPACE = """
data: {dataset: voc, root: shards, protocol: PROTOCOL, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
training: {iterations: 4, validate_every: 2, batch: 4}
"""


def summary(folder: Path, protocol: str, score: Score | None) -> None:
    file = folder / "street.yaml"
    file.write_text(SPACE.replace("PROTOCOL", protocol))
    value = Score(name="miou", value=0.5)
    winner = Candidate(3, "trial 3 afdcd", trial(), "folder", "run", value, {}, {}, None)
    rows = [Row(RunKey(3), value, "completed", 4, {})]
    registered = Registered("street", [score], [])
    conclusion = Conclusion(True, rows, [], [winner], registered)
    tune._summarise(load_space(str(file), []), conclusion)


def test_a_winner_shows_what_it_scored_on_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary(tmp_path, "dev", Score(name="miou", value=0.41))
    out = capsys.readouterr().out
    assert "models:/street@champion  3      afdcd   50.00 %   41.00 %" in out
    assert "no test mIoU" not in out


def test_where_no_split_reports_there_is_a_dash_and_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary(tmp_path, "official", None)
    out = capsys.readouterr().out
    assert "models:/street@champion  3      afdcd   50.00 %   -\n" in out
    assert "no test mIoU: protocol official: val selects" in out
    assert "nan" not in out
