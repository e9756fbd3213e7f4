"""`python -m afdcd.train`: one real run on a local Ray, and what is printed of its end.

The real one distils on two workers. One of them is killed, and nobody reads on to the end.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from afdcd import train
from afdcd.cli import INTERRUPTED, USER_ERROR, run
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.environment import inherited
from afdcd.models.weights import load_network
from afdcd.training.job import RunResult
from tests.examples import job
from tests.running import ROOT, kill_tree, save_teacher, until, workers_of
from tests.search.studies import report

ONE = """
data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 16, validate_every: 2, batch: 4}
"""
DISTILS = [  # overrides
    "pair.teacher={weights: TEACHER}",
    "distiller={method: afdcd, groups: 8, patch: 2, pool: 0, fd_weight: 1e-5}",
    "resources.workers=2",
    "training.lr=0.02",
]


def _written(folder: Path, root: str) -> str:
    file = folder / "one.yaml"
    file.write_text(ONE.replace("ROOT", root))
    return str(file)


@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(600)
def test_a_run_that_nobody_watches_leaves_weights_and_a_record_that_agree(tmp_path: Path) -> None:
    root, teacher = str(tmp_path / "data"), tmp_path / "teacher.safetensors"
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=1, test=1))
    save_teacher(teacher)
    storage = tmp_path / "runs"
    overrides = [word.replace("TEACHER", str(teacher)) for word in DISTILS]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "afdcd.train", _written(tmp_path, root), *overrides],
            env=inherited(AFDCD_STORAGE=str(storage), PYTHONWARNINGS="ignore"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            seen = until(process, "iteration 2/16")
            ranks = [worker.pid for worker in workers_of(process.pid)]
            os.kill(ranks[0], signal.SIGKILL)  # Ray Train starts both anew, from their checkpoint
            seen += until(process, "iteration 10/16")
            later = [worker.pid for worker in workers_of(process.pid)]
            process.stdout.close()  # as `| head` does
            assert process.wait() == 0
        finally:
            kill_tree(process)
    assert (len(ranks), set(ranks) & set(later)) == (2, set())
    told = seen + (tmp_path / "errors").read_text()
    assert "Traceback" not in told
    assert "\x1b" not in told  # no colours where there is no terminal
    (weights,) = storage.glob("runs/one/run-*/student.safetensors")
    network, card = load_network(weights)
    assert network.config.encoder == "timm:lcnet_050"
    assert card.split == "dev/val"
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    _assert_recorded(client, card.miou)
    _assert_stays(weights.parent, [_written(tmp_path, root), *overrides], storage)
    _assert_recorded(client, card.miou)


def _assert_stays(run: Path, arguments: list[str], storage: Path) -> None:
    """Called again after its end, and again."""
    kept = [run / "student.safetensors", run / "panel.png", *run.glob("journal/*")]
    before = {path: path.read_bytes() for path in kept}
    assert not (run / "train").exists()  # its checkpoint serves nobody any more
    for _ in range(2):
        again = subprocess.run(
            [sys.executable, "-m", "afdcd.train", *arguments],
            env=inherited(AFDCD_STORAGE=str(storage), PYTHONWARNINGS="ignore"),
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert again.returncode == 0, again.stderr
        assert {path: path.read_bytes() for path in kept} == before


def _assert_recorded(client: MlflowClient, miou: float) -> None:
    experiments = [found.experiment_id for found in client.search_experiments()]
    (recorded,) = client.search_runs(experiments)
    assert recorded.info.status == "FINISHED"
    assert recorded.data.params["training.lr"] == "0.02"
    history = client.get_metric_history(recorded.info.run_id, "miou")
    assert [point.step for point in history] == list(range(2, 17, 2))  # once each, none missing
    assert history[-1].value == pytest.approx(miou)


ENDS = {
    "completed": (
        RunResult("completed", report(4, 0.25)),
        0,
        "mIoU 25.00 % on dev/val\nweights nowhere/student.safetensors\n",
        "",
    ),
    "failed": (
        RunResult("infeasible", None, "loss term task is not finite at iteration 1"),
        USER_ERROR,
        "",
        "error: trial-0000 afdcd: loss term task is not finite at iteration 1\n",
    ),
    "interrupted": (None, INTERRUPTED, "interrupted; the same command goes on from here\n", ""),
}


@pytest.mark.parametrize("case", ENDS)
def test_each_end_has_its_words_and_its_status(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    end, status, out, err = ENDS[case]

    def run_single(space: Any) -> Any:
        return end and (job(), end)

    monkeypatch.setattr("afdcd.commands.train.run_single", run_single)
    assert run(train.main, [_written(tmp_path, "unprepared")]) == status
    assert capsys.readouterr() == (out, err)


def test_ranges_are_refused_with_the_verb_that_takes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched = "training.lr={log: [0.01, 0.1]}"
    assert run(train.main, [_written(tmp_path, "unprepared"), searched]) == USER_ERROR
    assert "one.yaml: holds ranges; use afdcd.tune" in capsys.readouterr().err
