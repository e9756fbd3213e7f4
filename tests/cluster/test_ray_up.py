"""`ray up` and `ray down` with cluster/vm/ray-up.yaml on three hosts, over real ssh."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.cluster.hosts import Host, hosts, missing
from tests.faults.stand import RAY, until
from tests.running import ROOT

REASON = missing() or (
    ""
    if shutil.which("sshd") and shutil.which("rsync")
    else "needs sshd and rsync: apt-get install openssh-server rsync"
)
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(2400),
    pytest.mark.skipif(bool(REASON), reason=REASON),
]
LONG = 900.0  # seconds
# What `make .venv/installed` looks at, and what runs. All of it is older than .venv, so that nothing is
# installed here.
PROJECT = ["afdcd", "search_spaces", "cluster", "Makefile", "requirements.lock", "pyproject.toml"]
PROJECT += ["setup.py", "install.py", "install_errors.py"]
SSHD = """
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
"""
# A home of the host's own, over the machine's, in which afdcd is installed already.
HOME = """
mkdir -p /tmp/ray/home/new /tmp/ray/home/work /run/sshd
mount -t overlay overlay -o lowerdir="$HOME",upperdir=/tmp/ray/home/new,workdir=/tmp/ray/home/work "$HOME"
mkdir -p "$HOME/afdcd"
ln -s "$1" "$HOME/afdcd/.venv"
"""
JOB = "import afdcd, os, socket; print(socket.gethostname(), os.environ['PGPASSWORD'], afdcd.__file__)"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Keys, the environment with its token, and the project, as they lie on a laptop."""
    made = Path(tempfile.mkdtemp(prefix="up", dir="/tmp"))
    for name in ("host", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made / name)]
        subprocess.run(command, check=True)
    (made / "sshd").write_text(SSHD.format(folder=made))
    settings = made / "environment"
    settings.write_text(f"RAY_AUTH_TOKEN={secrets.token_hex(32)}\nPGPASSWORD=given\n")
    settings.chmod(0o600)
    pack = ["tar", "--mtime=@0", "--exclude=__pycache__", "-czf", made / "afdcd.tar.gz"]
    subprocess.run([*map(str, pack), "-C", str(ROOT), *PROJECT], check=True)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def test_ray_up_brings_up_all_machines_and_ray_down_ends_them(folder: Path) -> None:
    with hosts("head", "worker1", "worker2") as (switch, machines), switch.joined():
        for host in machines:
            host.run("bash", "-ec", HOME, "home", ROOT / ".venv")
            subprocess.Popen(host.enter([shutil.which("sshd"), "-D", "-f", folder / "sshd"]))
        file = _write_cluster(folder, machines)
        _ray(folder, "up", "--yes", "--no-config-cache", file)
        until("three raylets", lambda: all(_raylets(host) for host in machines), LONG)
        _everywhere_the_same(machines, folder)
        head = machines[0]
        assert _status(head, "") == 401
        assert _status(head, "wrong") in (401, 403)
        environment = os.environ | _settings(folder) | {"RAY_AUTH_MODE": "token"}
        submit = [RAY, "job", "submit", "--address", "http://127.0.0.1:8265", "--"]
        printed = head.run(*submit, "python", "-c", JOB, environment=environment)
        assert f"head given {Path.home()}/afdcd/afdcd/__init__.py" in printed
        _ray(folder, "down", "--yes", file)
        until("the end of all", lambda: not any(_raylets(host) for host in machines), LONG)


def _write_cluster(folder: Path, machines: list[Host]) -> Path:
    """The project's file, with the addresses and keys of these hosts."""
    config = yaml.safe_load((ROOT / "cluster" / "vm" / "ray-up.yaml").read_text())
    head, *workers = (host.address for host in machines)
    config["provider"] |= {"head_ip": head, "worker_ips": workers}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(folder / "key")}
    for there, here in config["file_mounts"].items():
        config["file_mounts"][there] = str(folder / Path(here).name)
    file = folder / "ray-up.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def _ray(folder: Path, *words: object) -> None:
    """A command of the laptop's, which notes the state of the cluster in a folder of ours."""
    environment = {"RAY_UP_enable_autoscaler_v2": "0", "RAY_TMPDIR": str(folder)}
    done = subprocess.run(
        [RAY, *map(str, words)],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def _raylets(host: Host) -> list[psutil.Process]:
    return [process for process, words in host.processes() if words and "/raylet" in words[0]]


def _everywhere_the_same(machines: list[Host], folder: Path) -> None:
    """Every machine's Ray has the token, in no command line, and notices a silent one in time."""
    token = _settings(folder)["RAY_AUTH_TOKEN"]
    for host in machines:
        (raylet,) = _raylets(host)
        told = raylet.environ()
        assert told["RAY_AUTH_MODE"] == "token"
        assert told["RAY_AUTH_TOKEN"] == token
        assert told["RAY_grpc_client_keepalive_time_ms"] == "10000"
        assert told["RAY_grpc_client_keepalive_timeout_ms"] == "5000"
        lines = [" ".join(words) for _, words in host.processes()]
        assert not [line for line in lines if token in line]


def _settings(folder: Path) -> dict[str, str]:
    lines = (folder / "environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def _status(head: Host, token: str) -> int:
    """What the head answers to somebody on it who asks for its jobs with this token."""
    code = """
import sys, urllib.error, urllib.request
request = urllib.request.Request("http://127.0.0.1:8265/api/jobs/")
if sys.argv[1:]:
    request.add_header("Authorization", "Bearer " + sys.argv[1])
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
    return int(head.run("python3", "-c", code, *([token] if token else [])))
