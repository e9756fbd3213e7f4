"""All that a study needs, as real processes of this machine that can be killed and started again.

PostgreSQL (the study's database and MLflow's), an MLflow server, a Ray cluster of a head without CPUs
and one node, and a folder as storage. Everything is ended by its process id.
"""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.environment import inherited
from tests.running import ROOT, kill_tree, save_teacher
from tests.stores import Postgres

RAY = str(Path(sys.executable).parent / "ray")
PATIENCE = 90.0  # seconds for a server to be ready on a busy machine
OURS = "ray::"  # how the title of a process of Ray begins
# Of the cluster itself, whoever works on it.
STAYS = ("IDLE", "DashboardAgent", "RuntimeEnvAgent", "AutoscalingCoordinator")


class Service:
    """A process that a supervisor would start again: the same command, and one log for all of its lives."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self._command, self._environment, self._folder = command, dict(environment), folder
        self.log = folder / f"{Path(command[0]).name}-{secrets.token_hex(3)}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for whoever started the stand
            )

    def kill(self) -> None:
        """`kill -9` it and all below it, as a container dies."""
        if self.process:
            kill_tree(self.process)

    def below(self) -> list[psutil.Process]:
        if self.process is None or self.process.poll() is not None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def printed(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Stand:
    """The servers, and the environment that leads a study to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root, self.teacher = str(folder / "data"), folder / "teacher.safetensors"
        (folder / "pg").mkdir()
        self.postgres = Postgres(folder / "pg")
        self._services: list[Service] = []
        self.environment = {
            **inherited(),
            "AFDCD_STORAGE": str(folder / "runs"),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_JOB_STOP_WAIT_TIME_S": "30",
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def start(self) -> None:
        self.postgres.start()
        self.environment["AFDCD_STUDY_DB"] = self.postgres.database("studies")
        self.mlflow = self._mlflow(self.postgres.database("mlflow"))
        head = self._ray("h", "--head", "--port=0", "--num-cpus=0")
        address = self._read(head, r"--address='([^']+)'")
        self.api = self._read(head, r"RAY_API_SERVER_ADDRESS='(\S+)'")
        self.node = self._ray("n", f"--address={address}", "--num-cpus=2")
        self.environment["RAY_ADDRESS"] = address
        images = SyntheticConfig(height=64, width=64, train=36, val=4, test=6)
        prepare_synthetic(self.root, images)
        save_teacher(self.teacher)
        self.ready()

    def ready(self) -> None:
        """Wait until everything answers."""
        until("MLflow", lambda: _answers(f"{self.uri}/health"))
        until("the second node", lambda: self._nodes() == 2)

    def service(self, command: list[str], **environment: str) -> Service:
        """Start a command in the stand's environment; it ends with the stand at the latest."""
        service = Service(command, self.environment | environment, self.folder)
        self._services.append(service)
        service.start()
        return service

    def processes(self) -> list[tuple[psutil.Process, str]]:
        """Ray's processes that work for somebody, wherever they hang in the tree, with their titles."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                title = "".join(process.cmdline()[:1])
                # What outlives its raylet is nobody's child, but its working folder is still here.
                if title.startswith(OURS) and process.cwd().startswith(str(self.folder)):
                    found.append((process, title))
        return [(p, title) for p, title in found if not any(word in title for word in STAYS)]

    def groups(self) -> list[str]:
        """Placement groups that hold a place on the cluster, or wait for one."""
        found = self._ask("api/v0/placement_groups?limit=10000")["result"]["result"]
        kept = [group for group in found if group["state"] != "REMOVED"]
        return [f"{group['placement_group_id']} {group['state']}" for group in kept]

    def raylet(self) -> psutil.Process | None:
        """Of the node that works."""
        for process in self.node.below():
            with contextlib.suppress(psutil.Error):
                if process.name() == "raylet":
                    return process
        return None

    def close(self) -> None:
        for service in reversed(self._services):
            service.kill()
        for process, _ in self.processes():  # of a node that was killed
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(subprocess.CalledProcessError):  # it may be stopped already
            self.postgres.stop()

    def _ray(self, folder: str, *arguments: str) -> Service:
        command = [RAY, "start", "--block", "--node-ip-address=127.0.0.1", *arguments]
        command += [f"--temp-dir={self.folder / folder}", "--object-store-memory=100000000"]
        return self.service([*command, "--disable-usage-stats"])

    def _mlflow(self, database: str) -> Service:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self.uri = self.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port]
        command += ["--workers", "1", "--serve-artifacts", "--backend-store-uri", database]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        return self.service(command, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")

    def _read(self, service: Service, pattern: str) -> str:
        until(pattern, lambda: bool(re.search(pattern, service.printed())))
        return str(re.findall(pattern, service.printed())[0])

    def _nodes(self) -> int:
        nodes = self._ask("nodes?view=summary").get("summary", [])
        return sum(1 for node in nodes if node["raylet"].get("state") == "ALIVE")

    def _ask(self, path: str) -> Any:
        """What the cluster's dashboard says; nothing while it does not answer."""
        token = {"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"}
        with contextlib.suppress(requests.RequestException, ValueError, KeyError):
            return requests.get(f"{self.api}/{path}", headers=token, timeout=10).json()["data"]
        return {}


@contextmanager
def stand() -> Iterator[Stand]:
    """A stand in a folder of its own, whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    folder.chmod(0o755)  # PostgreSQL is another user
    made = Stand(folder)
    try:
        made.start()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def until(what: str, true: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for something.

    Raises:
        TimeoutError: it did not come.
    """
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not after {patience:.0f} s")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=5).ok
    return False
