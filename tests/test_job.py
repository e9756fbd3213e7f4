"""The main job as a submitted one: stopped with `ray job stop`, gone on with by the same command."""

import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from tests.running import (
    ROOT,
    Study,
    assert_each_went_on,
    finish,
    kill_tree,
    rest,
    save_teacher,
    steps_of,
    until,
    workers_of,
)

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]
RAY = str(Path(sys.executable).parent / "ray")
SPACE = """
data: {dataset: synthetic, crop: [64, 64], root: ROOT}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher: {weights: TEACHER}
distiller: {method: afdcd, tau: {log: [0.05, 1.0]}, groups: 8, patch: 2, pool: 0, fd_weight: 1e-5}
training: {iterations: 60, validate_every: 4, batch: 4}
study: {trials: 1, proof: {seeds: 0}}
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study of one trial, with a teacher from a file."""
    root, teacher = str(tmp_path / "synthetic"), tmp_path / "teacher.safetensors"
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=1, test=6))
    save_teacher(teacher)
    study = Study(tmp_path, SPACE.replace("ROOT", root).replace("TEACHER", str(teacher)))
    study.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return study


@pytest.fixture
def head(study: Study) -> Iterator[int]:
    """The process of a cluster, with a token on its ports, that the study's environment leads to."""
    # Ray takes ports that are free and says which: those chosen here could be gone by then.
    # Its files have a folder of their own with a short path: it is killed, and leaves them behind.
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    command = [RAY, "start", "--head", "--block", "--num-cpus=2", "--port=0"]
    head = subprocess.Popen(
        [*command, f"--temp-dir={folder}", "--disable-usage-stats"],
        # As README says: time to close runs when a job is stopped.
        env={**study.environment, "RAY_JOB_STOP_WAIT_TIME_S": "30", "PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        printed = until(head, "ray job submit")
        (address,) = re.findall(r"RAY_API_SERVER_ADDRESS='(\S+)'", printed)
        study.environment["RAY_API_SERVER_ADDRESS"] = address
        yield head.pid
    finally:
        kill_tree(head)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_stopped_job_is_killed_in_mlflow_and_goes_on(
    study: Study, head: int, tmp_path: Path
) -> None:
    folder = tmp_path / "working"
    shutil.copytree(ROOT / "afdcd", folder / "afdcd", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(study.space, folder)
    process = _submit(study, folder, "first")
    before = until(process, "iteration 4/60")
    frozen = list(workers_of(head))
    for worker in frozen:
        worker.suspend()  # or the trial may be ready before the command to stop it has been read
    assert len(frozen) == 1
    subprocess.run([RAY, "job", "stop", "first"], env=study.environment, check=True)
    before += rest(process)
    assert not psutil.wait_procs(frozen, timeout=60)[1]
    states = {name: run.info.status for name, run in study.runs().items()}
    assert states == {"study": "KILLED", "trial-0000": "KILLED"}
    printed = finish(_submit(study, folder, "second"))
    assert_each_went_on(before, printed)
    assert {run.info.status for run in study.runs().values()} == {"FINISHED"}
    steps = steps_of(study, "trial-0000")
    assert steps == sorted(set(steps)), "a point was logged twice"
    assert steps[-1] == 60
    assert study.client.get_model_version_by_alias("tiny", "candidate")


def _submit(study: Study, folder: Path, name: str) -> subprocess.Popen[str]:
    command = [RAY, "job", "submit", "--working-dir", str(folder), "--submission-id", name, "--"]
    command += ["python", "-m", "afdcd.tune", "tiny.yaml"]
    return subprocess.Popen(
        command,
        env=study.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
