"""The Slurm script with stand-ins for all that it calls: what it sets, refuses, and does at the end."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.scripts import ROOT, assert_no_secret, shellcheck, write_program

FOLDER = ROOT / "cluster" / "slurm"
SCRIPTS = [FOLDER / "tune.sbatch", FOLDER / "node.sh"]
# Each notes how it was called. srun lives until it is told to end, as the cluster does. The study begins
# once the nodes are there: a srun that had not begun to run could not say how it was called, or ended.
SRUN = """
trap 'echo "srun ends" >> "$NOTES"; exit 0' TERM
echo "srun $* token=$RAY_AUTH_TOKEN" >> "$NOTES"
env > "$NOTES.part"
mv "$NOTES.part" "$NOTES.environment"
while :; do sleep 0.05; done
"""
SCONTROL = 'echo "scontrol $*" >> "$NOTES"'
PYTHON = """
case "$*" in
-c*) exec {python} "$@" ;;
*wait_for_nodes*) until [ -e "$NOTES.environment" ]; do sleep 0.05; done; exit 0 ;;
esac
echo "python $*" >> "$NOTES"
trap 'echo "stopped in order" >> "$NOTES"; exit 130' TERM
if [ -z "$FINISH" ]; then
    touch "$NOTES.runs"
    while :; do sleep 0.05; done
fi
exit "$FINISH"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A checkout in which nothing is real but the two scripts."""
    home = tmp_path / "home"
    shutil.copytree(FOLDER, home / "cluster" / "slurm")
    programs = home / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in {
        "srun": SRUN,
        "scontrol": SCONTROL,
        "ray": "exit 1",
        "python": PYTHON.format(python=sys.executable),
    }.items():
        write_program(programs / name, text)
    return home


class Batch:
    """A run of tune.sbatch, as Slurm would start it."""

    def __init__(self, home: Path, *words: str, finish: str = "", **environment: str) -> None:
        self.notes = home.parent / "notes"
        Path(f"{self.notes}.environment").unlink(missing_ok=True)
        variables = {
            "PATH": f"{home}/.venv/bin:{os.environ['PATH']}",
            "HOME": str(home.parent),
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "8",
            "SLURM_SUBMIT_DIR": str(home),
            "AFDCD_STORAGE": "/shared/runs",
            "RAY_TMPDIR": f"/tmp/t{os.getpid()}",
            "NOTES": str(self.notes),
            "FINISH": finish,
        }
        self.process = subprocess.Popen(
            ["bash", str(home / "cluster" / "slurm" / "tune.sbatch"), *words],
            env=variables | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def tell(self, number: signal.Signals) -> None:
        """A signal, once the study runs."""
        while not Path(f"{self.notes}.runs").exists():
            assert self.process.poll() is None, self.process.communicate()[0]
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        printed, _ = self.process.communicate(timeout=50)
        return self.process.returncode, printed

    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def environment(self) -> dict[str, str]:
        lines = Path(f"{self.notes}.environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def batch(place: Path) -> Iterator[Batch]:
    made = Batch(place, "space.yaml", "study.trials=3")
    yield made
    made.process.kill()


def test_a_study_that_ends_ends_the_cluster_and_leaves_nothing(place: Path) -> None:
    batch = Batch(place, "space.yaml", "study.trials=3", finish="0")
    status, printed = batch.end()
    assert status == 0, printed
    assert "python -m afdcd.tune space.yaml study.trials=3" in batch.noted()
    assert batch.noted()[-1] == "srun ends"
    assert not Path(batch.environment()["RAY_TMPDIR"]).exists()


def test_shortly_before_the_time_is_up_the_study_stops_in_order_and_is_queued_again(
    batch: Batch,
) -> None:
    batch.tell(signal.SIGUSR1)
    status, printed = batch.end()
    assert status == 130
    assert "the time is nearly up: the study is stopped in order" in printed
    assert batch.noted()[-3:] == ["stopped in order", "scontrol requeue 4711", "srun ends"]


def test_a_cancelled_job_stops_in_order_and_is_not_queued_again(batch: Batch) -> None:
    batch.tell(signal.SIGTERM)
    assert batch.end()[0] == 130
    assert batch.noted()[-2:] == ["stopped in order", "srun ends"]
    assert not [line for line in batch.noted() if "requeue" in line]


def test_a_study_that_failed_is_not_queued_again(place: Path) -> None:
    batch = Batch(place, "space.yaml", finish="2")
    assert batch.end()[0] == 2
    assert not [line for line in batch.noted() if "requeue" in line]


def test_every_node_is_told_token_and_keepalive_and_no_command_line_shows_the_token(
    place: Path,
) -> None:
    tokens = set()
    for _ in range(2):
        batch = Batch(place, "space.yaml", finish="0")
        batch.end()
        told = batch.environment()
        (call,) = [line for line in batch.noted() if line.startswith("srun --")]
        words, _, token = call.partition(" token=")
        batch.notes.unlink()
        assert len(token) == 64
        assert token not in words
        assert told["RAY_AUTH_MODE"] == "token"
        assert told["RAY_grpc_client_keepalive_time_ms"] == "10000"
        assert told["RAY_grpc_client_keepalive_timeout_ms"] == "5000"
        assert "--nodes=2 --ntasks-per-node=1 --cpus-per-task=8 --kill-on-bad-exit=0" in words
        tokens.add(token)
    assert len(tokens) == 2  # of each start its own


@pytest.mark.parametrize(
    "words, environment, said",
    [
        ([], {}, "name a search space"),
        (["s.yaml"], {"SLURM_JOB_ID": ""}, "not in a Slurm job: start this file with sbatch"),
        (["s.yaml"], {"SLURM_SUBMIT_DIR": "/"}, "/ is not afdcd's folder: set AFDCD_HOME"),
        (["s.yaml"], {"AFDCD_STORAGE": ""}, "AFDCD_STORAGE is not set"),
        (["s.yaml"], {"RAY_TMPDIR": "/tmp/" + "x" * 40}, "too long for sockets"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    place: Path, words: list[str], environment: dict[str, str], said: str
) -> None:
    status, printed = Batch(place, *words, **environment).end()
    assert status == 2
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert said in printed


def test_a_settings_file_that_others_can_read_is_refused(place: Path) -> None:
    settings = place.parent / ".afdcd" / "environment"
    settings.parent.mkdir()
    settings.write_text("PGPASSWORD=x\n")
    settings.chmod(0o640)
    status, printed = Batch(place, "s.yaml").end()
    assert status == 2
    assert f"others can read it: chmod 600 {settings}" in printed
    settings.chmod(0o600)
    batch = Batch(place, "s.yaml", finish="0")
    assert batch.end()[0] == 0
    assert batch.environment()["PGPASSWORD"] == "x"


@pytest.mark.parametrize("node, role", [("0", "--head"), ("1", "--address=10.0.0.1:24711")])
def test_a_node_starts_what_it_is_with_what_it_was_given(place: Path, node: str, role: str) -> None:
    write_program(place / ".venv" / "bin" / "ray", 'echo "$*"; kill -TERM "$PPID"; sleep 30')
    done = subprocess.run(
        ["bash", str(place / "cluster" / "slurm" / "node.sh")],
        env={
            "PATH": f"{place}/.venv/bin:{os.environ['PATH']}",
            "RAY_ADDRESS": "10.0.0.1:24711",
            "RAY_TMPDIR": str(place / "tmp"),
            "RAY_AUTH_TOKEN": "s3cret",
            "AFDCD_DASHBOARD_PORT": "34711",
            "AFDCD_CLIENT_PORT": "44711",
            "SLURM_NODEID": node,
            "SLURM_CPUS_ON_NODE": "16",
            "SLURM_GPUS_ON_NODE": "4",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    line = done.stdout
    assert line.startswith(f"start --block {role}")
    assert "--num-cpus=16 --num-gpus=4" in line
    assert "s3cret" not in line
    assert ("--dashboard-host=127.0.0.1" in line) == (node == "0")
    assert not (place / "tmp").exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    assert shellcheck(script) == ""


def test_no_secret_is_written_down() -> None:
    for file in FOLDER.iterdir():
        assert_no_secret(file)
