"""What a person is told who asks why the best student is the best one."""

from pathlib import Path

import pytest

from afdcd.commands import study as command
from afdcd.search.explain import explain
from afdcd.search.kept import kept_study
from afdcd.search.proof import Prover
from afdcd.search.records import CHOSEN
from tests.search.studies import opened, run_to_the_end
from tests.search.test_proof import REFERENCES, run_all, searched


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STUDY_DB", f"sqlite:///{tmp_path}/study.db")
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))


def test_a_study_without_a_full_run_says_so(tmp_path: Path) -> None:
    opened(tmp_path)
    assert explain(kept_study("s")) == [
        "study s: 0 trials (none yet), 0 device-hours with all proofs and lost work",
        "no trial has reached its full length yet, so nothing is chosen",
    ]


def test_without_a_proof_luck_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    searched(tmp_path)
    assert command.execute_explain("s", None, None) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[1].startswith("chosen: trial 2, ")
        and "90.00 % with its first seed; it was" in lines[1]
    )
    assert "training.lr=" in lines[2]
    assert lines[3] == "before trial 1, kd, 50.00 %, asked for"
    assert lines[4] == "before trial 0, none, 30.00 %, asked for"
    assert lines[-1] == "one seed, unproven: luck alone may have put it first"


def test_the_choice_is_the_one_that_was_registered_not_the_highest_score(tmp_path: Path) -> None:
    study = searched(tmp_path)
    study.study.set_user_attr(CHOSEN, [1, 2])
    lines = explain(kept_study("s"))
    assert lines[1].startswith("chosen: trial 1, kd, 50.00 %")
    assert lines[3].startswith("before trial 2, ")


def test_what_the_model_expected_is_told(tmp_path: Path) -> None:
    study = opened(tmp_path, references=REFERENCES, trials=6, rungs=())
    for value in (0.3, 0.5, 0.51, 0.52, 0.53, 0.9):
        run_to_the_end(study, value)
    (line,) = [line for line in explain(kept_study("s")) if line.startswith("chosen: trial 5")]
    assert "90.00 % with its first seed; it was proposed, for the model expected " in line
    assert line.count(" %") == 3


def test_a_proof_is_told_in_a_dozen_lines(tmp_path: Path) -> None:
    study = searched(tmp_path)
    Prover(study, 3).ask()
    run_all(study)
    lines = explain(kept_study("s"))
    assert len(lines) <= 12
    assert lines[0].startswith("study s: 3 trials (3 completed), ")
    at = lines.index("proof with seeds 1, 2, 3, which nothing was selected by:")
    assert lines[at + 1].startswith("  best setting found (trial 2): ")
    assert " ± " in lines[at + 2] and "points [" in lines[at + 2]
    assert lines[at + 4].startswith("so it is ")


def test_it_speaks_of_the_trial_that_was_proven(tmp_path: Path) -> None:
    """Not of one that overtook it since, and is not proven yet."""
    study = searched(tmp_path)
    Prover(study, 3).ask()
    run_all(study)
    study = opened(tmp_path, references=REFERENCES, trials=4, rungs=(), sampler="tpe")
    run_to_the_end(study, 0.99)
    lines = explain(kept_study("s"))
    assert lines[1].startswith("chosen: trial 2, ")
    assert any(line.startswith("before trial ") and "99.00 %" in line for line in lines)
