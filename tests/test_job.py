"""The main job as a submitted one: stopped with `ray job stop`, gone on with by the same command."""

import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from tests.running import ROOT, Study, assert_each_went_on, finish, kill_tree, until

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]
RAY = str(Path(sys.executable).parent / "ray")
SPACE = """
data: {dataset: synthetic, crop: [64, 64], root: ROOT}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
training: {iterations: 30, validate_every: 2, batch: 4, lr: {choice: [0.01, 0.02]}}
study:
  trials: 2
  enqueue:
    - training: {lr: 0.01}
    - training: {lr: 0.02}
"""


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    """A study whose environment leads to a cluster of its own, with a token on its ports."""
    root = str(tmp_path / "synthetic")
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=1, test=6))
    study = Study(tmp_path, SPACE.replace("ROOT", root))
    study.environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_JOB_STOP_WAIT_TIME_S": "30",  # as README says: time to close runs when a job is stopped
    }
    # Ray takes ports that are free and says which: those chosen here could be gone by then.
    command = [RAY, "start", "--head", "--block", "--num-cpus=2", "--port=0"]
    head = subprocess.Popen(
        [*command, "--disable-usage-stats"],
        env={**study.environment, "PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        printed = until(head, "ray job submit")
        (address,) = re.findall(r"RAY_API_SERVER_ADDRESS='(\S+)'", printed)
        study.environment["RAY_API_SERVER_ADDRESS"] = address
        yield study
    finally:
        kill_tree(head)


def test_a_stopped_job_is_killed_in_mlflow_and_goes_on(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "working"
    shutil.copytree(ROOT / "afdcd", folder / "afdcd", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(study.space, folder)
    process = _submit(study, folder, "first")
    before = until(process, "iteration 6/30")
    subprocess.run([RAY, "job", "stop", "first"], env=study.environment, check=True)
    process.wait()
    states = {name: run.info.status for name, run in study.runs().items()}
    assert len(states) >= 2  # the study and at least one trial
    assert set(states.values()) == {"KILLED"}
    printed = finish(_submit(study, folder, "second"))
    assert_each_went_on(before, printed)
    assert {run.info.status for run in study.runs().values()} == {"FINISHED"}
    assert study.client.get_model_version_by_alias("tiny", "champion")


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
