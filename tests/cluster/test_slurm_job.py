"""The Slurm job for real but for Slurm: a study on two hosts, whose time is up before its end."""

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from tests.cluster.hosts import hosts, missing
from tests.cluster.slurm import Allocation, Batch, allocation
from tests.faults.stand import until
from tests.running import ROOT, assert_each_went_on

REASON = missing()
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(2400),
    pytest.mark.skipif(bool(REASON), reason=REASON),
]
LONG = 900.0  # seconds
SPACE = """
data: {dataset: synthetic, crop: [64, 64], root: ROOT}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 60, validate_every: 4, batch: 4, lr: {choice: [0.01]}}
study: {trials: 1, proof: {seeds: 0}}
"""


@pytest.fixture
def job() -> Iterator[Allocation]:
    folder = Path(tempfile.mkdtemp(prefix="sl", dir="/tmp"))  # a socket's path must be short
    try:
        with hosts("n1", "n2") as (_, machines), allocation(folder, machines) as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_job_whose_time_is_up_is_queued_again_and_its_study_goes_on(
    job: Allocation, tmp_path: Path
) -> None:
    root, space = str(tmp_path / "data"), tmp_path / "space.yaml"
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=1, test=6))
    space.write_text(SPACE.replace("ROOT", root))
    first = _started(job, tmp_path, space)
    until("a validation", lambda: _has(first, "iteration 4/60"), LONG)
    first.tell(signal.SIGUSR1)
    until("the end", lambda: first.process.poll() is not None, LONG)
    assert first.process.returncode == 130, first.printed()
    assert job.asked == ["requeue 4711"]
    assert_nothing_left(job)
    second = _started(job, tmp_path, space)
    until("the end", lambda: second.process.poll() is not None, LONG)
    assert second.process.returncode == 0, second.printed()
    assert "2 nodes are ready" in second.printed()
    assert_each_went_on(first.printed(), second.printed())
    assert job.asked == ["requeue 4711"]
    assert_nothing_left(job)


def _started(job: Allocation, folder: Path, space: Path) -> Batch:
    return job.batch(
        ROOT / "cluster" / "slurm" / "tune.sbatch",
        str(space),
        AFDCD_HOME=str(ROOT),
        AFDCD_STORAGE=str(folder / "runs"),
        AFDCD_ENVIRONMENT=str(folder / "none"),
        RAY_TMPDIR="/tmp/ray/job",  # of each host its own
        OMP_NUM_THREADS="1",
        PYTHONUNBUFFERED="1",
    )


def _has(batch: Batch, text: str) -> bool:
    assert batch.process.poll() is None, batch.printed()
    return text in batch.printed()


def assert_nothing_left(job: Allocation) -> None:
    """Slurm itself would end what is there. A loader's process sees within seconds that it is alone."""
    end = time.monotonic() + 30.0
    while (left := _left(job)) and time.monotonic() < end:
        time.sleep(1.0)
    assert left == []


def _left(job: Allocation) -> list[str]:
    """What stays on the hosts after a job: processes but the first and its pause, and files."""
    found = [" ".join(words) for host in job.hosts for _, words in host.processes()]
    files = [path for host in job.hosts for path in host.run("ls", "/tmp/ray").split()]
    return [line for line in found if "sleep" not in line and "bash -ec" not in line] + [
        path for path in files if path != "hosts"
    ]
