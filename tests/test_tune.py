"""The summary of a finished study."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afdcd.commands import tune
from afdcd.search.candidates import Candidate, Ran
from afdcd.search.conclude import Conclusion
from afdcd.search.load import load_space
from afdcd.search.proof import CHAMPION, PLAIN, Plan, Proof
from afdcd.search.rows import RunKey
from afdcd.search.trials_table import Row
from afdcd.search.winners import Registered
from afdcd.tasks.score import Score
from tests.examples import trial

SPACE = """
data: {dataset: voc, root: shards, protocol: PROTOCOL, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
training: {iterations: 4, validate_every: 2, batch: 4}
"""


def summary(
    folder: Path, protocol: str, score: Score | None, proof: Proof | None = None, text: str = SPACE
) -> None:
    file = folder / "street.yaml"
    file.write_text(text.replace("PROTOCOL", protocol))
    value = Score(name="miou", value=0.5)
    ran = Ran(0, "folder", "run")
    winner = Candidate(3, "trial 3 afdcd", trial(), "", ran, value, {}, {}, None)
    rows = [Row(RunKey(3), value, "completed", 4, {})]
    registered = Registered("street", "candidate", [{0: score} if score else {}], [])
    conclusion = Conclusion(True, rows, [], [winner], registered, proof)
    tune._summarise(load_space(str(file), []), conclusion)


def test_a_winner_shows_what_it_scored_on_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary(tmp_path, "dev", Score(name="miou", value=0.41))
    out = capsys.readouterr().out
    assert "models:/street@candidate  3      0     afdcd   50.00 %   41.00 %" in out
    assert "no test mIoU" not in out


def test_where_no_split_reports_there_is_a_dash_and_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary(tmp_path, "official", None)
    out = capsys.readouterr().out
    assert "models:/street@candidate  3      0     afdcd   50.00 %   -\n" in out
    assert "no test mIoU: protocol official: val selects" in out
    assert "nan" not in out


def test_a_proof_is_printed_with_what_would_settle_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {CHAMPION: (0.50, 0.53, 0.47), PLAIN: (0.495, 0.50, 0.475)}
    runs: Any = {
        arm: {
            seed: SimpleNamespace(value=value, device_hours=0.5, run=RunKey(3, seed))
            for seed, value in enumerate(values, start=4)
        }
        for arm, values in scores.items()
    }
    summary(
        tmp_path, "dev", None, Proof(Plan(3, dict.fromkeys(scores, trial()), (4, 5, 6), {}), runs)
    )
    out = capsys.readouterr().out
    assert "best setting found (trial 3)          50.00 ± 3.00 % over 3 seeds\n" in out
    assert "+1.00 points [-3.48, +5.48], not distinguishable" in out
    assert "seeds 4, 5, 6, which nothing was selected by" in out
    assert "not distinguishable from the plain student: +1.00 points" in out
    assert "15 seeds would tell (study.proof.seeds=15, about 12 device-hours more)" in out
    assert "unproven" not in out


def test_without_a_proof_no_method_is_said_to_be_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary(tmp_path, "official", None)
    out = capsys.readouterr().out
    assert "One seed, unproven" in out
    assert "use the candidate:" in out and "models:/street@candidate" in out


def test_an_arena_says_how_its_rivals_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary(tmp_path, "dev", None)
    assert "report arena" not in capsys.readouterr().out
    text = SPACE.replace("batch: 4}", "batch: 4, lr: {choice: [0.1, 0.2]}}")
    summary(tmp_path, "dev", None, text=f"{text}study: {{budget_per: training.lr}}\n")
    assert "python -m afdcd report arena street" in capsys.readouterr().out
