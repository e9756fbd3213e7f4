"""What the tests of real studies share: a tiny pair, the command, its processes."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from mlflow import MlflowClient
from mlflow.entities import Run

from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, save_network

ROOT = Path(__file__).parent.parent


def save_teacher(file: Path) -> None:
    """A teacher of the synthetic set, untrained: enough to be given by its file."""
    model = ModelConfig(head="pspnet", encoder="timm:mobilenetv3_small_050")
    card = NetworkCard(
        model=model,
        dataset="synthetic",
        classes=SYNTHETIC.classes,
        palette=SYNTHETIC.palette,
        normalisation="imagenet",
    )
    save_network(file, model.build(len(SYNTHETIC.classes)), card)


class Study:
    """The study "tiny" in a folder of its own, run by the real command."""

    def __init__(self, folder: Path, space: str) -> None:
        self.folder = folder
        self.space = folder / "tiny.yaml"
        self.space.write_text(space)
        self.environment = {
            **os.environ,
            "AFDCD_STORAGE": str(folder / "runs"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def start(self, *overrides: str, program: str = "") -> subprocess.Popen[str]:
        """The command; or a program in its place, e.g. one that changes a limit first."""
        words = ["-c", program] if program else ["-m", "afdcd.tune"]
        command = [sys.executable, "-u", *words, str(self.space), *overrides]
        return subprocess.Popen(
            command,
            env=self.environment,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ask(self, *words: str) -> str:
        """What `afdcd study` says in another terminal."""
        command = [sys.executable, "-m", "afdcd.study", *words]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.folder}/runs/mlflow.db")

    def runs(self) -> dict[str, Run]:
        """Every MLflow run by the name of its job."""
        experiments = [e.experiment_id for e in self.client.search_experiments()]
        return {run.data.tags["afdcd.job"]: run for run in self.client.search_runs(experiments)}


def steps_of(study: Study, job: str) -> list[int]:
    """The iterations at which MLflow has a score of a job."""
    run = study.runs()[job].info.run_id
    return [point.step for point in study.client.get_metric_history(run, "miou")]


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


def rest(process: subprocess.Popen[str]) -> str:
    """What the process printed to its end."""
    assert process.stdout is not None
    printed = process.stdout.read()
    process.wait()
    return printed


def finish(process: subprocess.Popen[str]) -> str:
    """What the process printed to its end, which must be a good one."""
    printed = rest(process)
    assert process.returncode == 0, printed
    return printed


def workers_of(driver: int) -> Iterator[psutil.Process]:
    """The Ray Train workers below a driver that started its own cluster."""
    for process in psutil.Process(driver).children(recursive=True):
        if "RayTrainWorker" in _title(process):
            yield process


def kill(process: subprocess.Popen[str]) -> str:
    """`kill -9` a driver; what it had printed, once its cluster has ended itself."""
    cluster = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    _outlive(cluster)
    return rest(process)


def kill_tree(process: subprocess.Popen[str]) -> None:
    """End a process and all below it, by id: the next test needs the host for its own cluster."""
    if process.poll() is not None:
        return
    whole = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in whole:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()
    psutil.wait_procs(whole, timeout=20)


def _outlive(cluster: list[psutil.Process]) -> None:
    """Wait until a cluster without a driver is gone.

    Ray's agents would take another minute, in which they ask for a server that is no more.
    """
    agents = [process for process in cluster if "Agent" in _title(process)]
    _, left = psutil.wait_procs([p for p in cluster if p not in agents], timeout=60)
    for process in (*agents, *left):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _title(process: psutil.Process) -> str:
    """How Ray names it; empty once it has ended."""
    try:
        return "".join(process.cmdline()[:1])
    except psutil.NoSuchProcess:
        return ""
