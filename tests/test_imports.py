"""What is imported when: words are answered before anything heavy, workers know no study."""

import subprocess
import sys

import pytest

from afdcd.bench.processes import parse
from tests.running import ROOT

HEAVY = {"torch", "timm", "ray", "mlflow", "optuna", "pandas", "scipy", "matplotlib", "pyarrow"}
QUICK = {
    "help": ["--help"],
    "a missing file": ["missing.yaml"],
    "a wrong key": ["search_spaces/quickstart.yaml", "training.lrr=1"],
}


VERBS = ["prepare", "tune", "train", "evaluate", "predict", "convert", "report", "doctor"]


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_answered_before_anything_heavy_is_imported(verb: str) -> None:
    assert not _imported([f"afdcd.{verb}", "--help"]) & HEAVY


@pytest.mark.parametrize("words", QUICK.values(), ids=QUICK)
@pytest.mark.parametrize("verb", ["tune", "train"])
def test_a_mistake_is_told_before_anything_heavy_is_imported(verb: str, words: list[str]) -> None:
    assert not _imported([f"afdcd.{verb}", *words]) & HEAVY


def test_checking_a_space_needs_no_cluster_and_no_database() -> None:
    imported = _imported(["afdcd.tune", "--check", "search_spaces/quickstart.yaml"])
    assert "torch" in imported
    assert not imported & {"ray", "mlflow", "optuna"}


def test_a_worker_knows_neither_the_study_nor_mlflow() -> None:
    program = "import sys, afdcd.training.worker as w; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split())
    assert "ray.train" in imported
    assert not imported & {"mlflow", "optuna", "afdcd.search", "afdcd.tracking", "scipy"}


def _imported(words: list[str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return parse(done.stderr).modules
