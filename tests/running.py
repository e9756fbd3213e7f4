"""What the tests of real studies share: a tiny search space, the command, its processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from mlflow import MlflowClient
from mlflow.entities import Run

ROOT = Path(__file__).parent.parent

TINY = """
data: {dataset: synthetic, crop: [64, 64], root: ROOT}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher:
    model: {head: pspnet, encoder: "timm:mobilenetv3_small_050"}
    train: {iterations: 4, validate_every: 4, batch: 4}
distiller:
  choice:
    - {method: none}
    - {method: afdcd, tau: {log: [0.05, 1.0]}, groups: 8, patch: 2, pool: 0, fd_weight: 1e-5}
training: {iterations: 8, validate_every: 2, batch: 4}
study:
  trials: 2
  enqueue:
    - distiller: {method: none}
    - distiller: {method: afdcd, tau: 0.5}
"""


class Study:
    """A study in a folder of its own, run by the real command."""

    def __init__(self, folder: Path, data: str) -> None:
        self.folder = folder
        self.space = folder / "tiny.yaml"
        self.space.write_text(TINY.replace("ROOT", data))
        self.environment = {
            **os.environ,
            "AFDCD_STORAGE": str(folder / "runs"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
        }

    def start(self, *overrides: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-u", "-m", "afdcd.tune", str(self.space), *overrides]
        return subprocess.Popen(
            command,
            env=self.environment,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.folder}/runs/mlflow.db")

    def runs(self) -> dict[str, Run]:
        """Every MLflow run by the name of its job."""
        experiments = [e.experiment_id for e in self.client.search_experiments()]
        return {run.data.tags["afdcd.job"]: run for run in self.client.search_runs(experiments)}


def until(process: subprocess.Popen[str], text: str) -> str:
    """What the process printed up to the first line that holds `text`."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"ended without printing {text!r}:\n{seen}")


def iterations_of(printed: str) -> dict[int, set[int]]:
    """The iterations that each trial reported."""
    found: dict[int, set[int]] = {}
    for trial, iteration in re.findall(r"trial (\d+) .* iteration (\d+)/", printed):
        found.setdefault(int(trial), set()).add(int(iteration))
    return found


def assert_each_went_on(before: str, after: str) -> None:
    """What a trial reported has a checkpoint: a later driver goes on from there."""
    again = iterations_of(after)
    for trial, reached in iterations_of(before).items():
        assert not again.get(trial) or min(again[trial]) > max(reached)


def finish(process: subprocess.Popen[str]) -> str:
    """What the process printed to its end, which must be a good one."""
    assert process.stdout is not None
    rest = process.stdout.read()
    assert process.wait() == 0, rest
    return rest


def workers_of(driver: int) -> Iterator[psutil.Process]:
    """The Ray Train workers below a driver that started its own cluster."""
    for process in psutil.Process(driver).children(recursive=True):
        if any("RayTrainWorker" in part for part in process.cmdline()[:1]):
            yield process


def kill_tree(process: subprocess.Popen[str]) -> None:
    """End what a failed test left behind, by id."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        if process.poll() is None:
            process.kill()
