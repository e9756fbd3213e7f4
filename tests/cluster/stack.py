"""The services of docker/compose.yaml, brought up by podman-compose with fresh secrets."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.containers import ROOT, Containers

FILE = ROOT / "docker" / "compose.yaml"
EXAMPLE = ROOT / "docker" / ".env.example"
PORTS = {"DASHBOARD_PORT": "58265", "MLFLOW_PORT": "55000"}
STAND_INS = {"postgres": "localhost/afdcd-test-postgres", "store": "localhost/afdcd-test-store"}
LIST = """
import sys
from pyarrow import fs
store, path = fs.FileSystem.from_uri(f"s3://{sys.argv[1]}")
print(*(info.path for info in store.get_file_info(fs.FileSelector(path, recursive=True))), sep="\\n")
"""


class Stack:
    """compose.yaml with these images, in containers named afdcd_SERVICE_1."""

    def __init__(
        self, made: Containers, program: str, image: str, mlflow: str, folder: Path
    ) -> None:
        self.made, self.folder, self._program = made, folder, program
        images = {"AFDCD_IMAGE": image, "MLFLOW_IMAGE": mlflow}
        images |= {f"{name.upper()}_IMAGE": stand_in for name, stand_in in STAND_INS.items()}
        self.values = {**filled_example(folder), **PORTS, **images, "WORKER_CPUS": "1"}

    def begin(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        line = [self._program, "--podman-path", str(self.made.program), "-f", str(FILE)]
        if words[0] == "run":  # Podman 4.3 cannot do it for what it depends on, which is up already
            line += ["--profile", "submit"]  # which docker compose does by itself
            words = ("run", "--no-deps", "-T", *words[1:])
        environment = {**self.made.environment, **self.values}
        return subprocess.Popen(
            [*line, *words], env=environment, text=True, stdin=subprocess.DEVNULL, **options
        )

    def compose(self, *words: str) -> subprocess.CompletedProcess[str]:
        process = self.begin(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def up(self) -> None:
        done = self.compose("up", "-d", "--no-build", "--scale", "worker=2")
        assert done.returncode == 0, done.stderr[-3000:]
        for name in ("postgres", "store", "mlflow", "head"):
            self.until_well(name)

    def down(self, *words: str) -> None:
        """With `-v` the volumes go, too. Podman 4.3 leaves what it was just about to start again."""
        self.compose("down", *words)
        self.made.podman("pod", "rm", "--force", "--ignore", "pod_afdcd")
        if "-v" in words:
            found = self.made.podman("volume", "ls", "--quiet", "--filter", "name=afdcd_").stdout
            self.made.podman("volume", "rm", "--force", *found.split(), check=False)

    def until_well(self, name: str) -> None:
        """Podman looks at health by systemd's timers, which containers' hosts here do not have."""
        check = ("healthcheck", "run", f"afdcd_{name}_1")
        self.until(lambda: self.made.podman(*check, check=False).returncode == 0, f"{name} is well")

    def until(self, holds: Callable[[], bool], what: str, limit: float = 600.0) -> None:
        end = time.monotonic() + limit
        while not holds():
            assert time.monotonic() < end, f"not within {limit:g} s: {what}"
            time.sleep(1.0)

    def sql(self, database: str, query: str) -> str:
        """What PostgreSQL answers to its superuser, asked over TCP with the password."""
        secret = f"--env=PGPASSWORD={self.values['POSTGRES_PASSWORD']}"
        client = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-At", "-d", database, "-c", query]
        return self.made.podman("exec", secret, "afdcd_postgres_1", *client).stdout.strip()

    def objects(self, bucket: str) -> list[str]:
        return self.made.podman("exec", "afdcd_head_1", "python", "-c", LIST, bucket).stdout.split()


def filled_example(folder: Path) -> dict[str, str]:
    """The values that the command in docker/.env.example writes into `folder`/docker/.env."""
    (folder / "docker").mkdir()
    shutil.copy(EXAMPLE, folder / "docker")
    command = re.search(r"^# +(umask .*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert command is not None
    subprocess.run(["sh", "-ec", command[1]], cwd=folder, check=True)
    written = (folder / "docker" / ".env").read_text()
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", written, re.MULTILINE))


def podman_compose() -> str:
    places = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    found = shutil.which("podman-compose", path=places)
    if found is None:
        pytest.skip("needs podman-compose: pip install podman-compose")
    return found


def status(url: str, headers: dict[str, str]) -> int:
    """Of a GET."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=30
        ) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
