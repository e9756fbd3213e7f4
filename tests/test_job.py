"""The main job as a submitted one: stopped with `ray job stop`, gone on with by the same command."""

import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from tests.running import ROOT, Study, assert_each_went_on, finish, until

pytestmark = pytest.mark.timeout(600)
RAY = str(Path(sys.executable).parent / "ray")


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    """A study whose environment leads to a cluster of its own, with a token on its ports."""
    root = str(tmp_path / "synthetic")
    prepare_synthetic(root, SyntheticConfig(height=64, width=96, train=60, val=12, test=6))
    study = Study(tmp_path, root)
    port, dashboard = _free_port(), _free_port()
    study.environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
    }
    command = [RAY, "start", "--head", "--block", "--num-cpus=2", f"--port={port}"]
    command += [f"--dashboard-port={dashboard}", "--disable-usage-stats"]
    log = (tmp_path / "head.log").open("w")
    head = subprocess.Popen(command, env=study.environment, stdout=log, stderr=log)
    try:
        _until_open(dashboard)
        yield study
    finally:
        cluster = psutil.Process(head.pid).children(recursive=True)
        head.terminate()
        psutil.wait_procs([psutil.Process(head.pid), *cluster], timeout=30)


def test_a_stopped_job_is_killed_in_mlflow_and_goes_on(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "working"
    shutil.copytree(ROOT / "afdcd", folder / "afdcd", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(study.space, folder)
    process = _submit(study, folder, "first")
    before = until(process, "iteration 6/30")
    subprocess.run([RAY, "job", "stop", "first"], env=study.environment, check=True, timeout=60)
    process.wait(60)
    runs = study.runs()
    states = {name: run.info.status for name, run in runs.items() if "teacher" not in name}
    assert len(states) >= 2  # the study and at least one trial
    assert set(states.values()) == {"KILLED"}
    printed = finish(_submit(study, folder, "second"))
    assert_each_went_on(before, printed)
    assert {run.info.status for run in study.runs().values()} == {"FINISHED"}
    assert study.client.get_model_version_by_alias("tiny", "champion")


def _submit(study: Study, folder: Path, name: str) -> subprocess.Popen[str]:
    command = [RAY, "job", "submit", "--working-dir", str(folder), "--submission-id", name, "--"]
    command += ["python", "-m", "afdcd.tune", "tiny.yaml", "training.iterations=30"]
    return subprocess.Popen(
        command,
        env=study.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_open(port: int, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise AssertionError(f"nothing listens on port {port} after {seconds:g} s")
