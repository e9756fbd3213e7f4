"""Real servers for tests: `store` is the URI of an empty S3 bucket, reached by environment alone, and
`postgres` the URL of an empty PostgreSQL database."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

_REGION = "us-east-1"


def _environment(port: int) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }


# The server takes a port that is free, and says which: one chosen here could be gone by then.
_SERVER = """
import signal
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
signal.pause()
"""


@pytest.fixture(scope="session")
def s3_server() -> Iterator[int]:
    """The port of a server that lives as long as the tests."""
    pytest.importorskip("moto", reason="the S3 server is moto's")
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        env={**os.environ, **_environment(0)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline()
        assert port, "the S3 server ended by itself"
        yield int(port)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def store(s3_server: int, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in _environment(s3_server).items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid4().hex[:12]}"
    boto3.client("s3", region_name=_REGION).create_bucket(Bucket=bucket)
    return f"s3://{bucket}"


class Postgres:
    """A PostgreSQL server of our own on a socket in a folder; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._programs, self._folder, self._data = _programs(), folder, folder / "data"
        folder.chmod(0o777)
        if os.getuid() == 0:  # initdb refuses root
            shutil.chown(folder, "postgres", "postgres")
        self._run(
            "initdb", "-D", self._data, "-A", "trust", "-U", "afdcd", "-E", "UTF8", "--no-sync"
        )

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self._folder} -c fsync=off"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """At once, as a machine that loses its power would."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def database(self, name: str) -> str:
        """The URL of a new database."""
        self._run("createdb", "-h", self._folder, "-U", "afdcd", name)
        return f"postgresql://afdcd@/{name}?host={self._folder}"

    def _run(self, program: str, *arguments: object) -> None:
        line = [str(self._programs / program), *map(str, arguments)]
        if os.getuid() == 0:
            line = ["runuser", "-u", "postgres", "--", *line]
        subprocess.run(
            line, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/"
        )


def _programs() -> Path:
    """Where PostgreSQL's programs are."""
    found = shutil.which("initdb") or next(
        iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)), None
    )
    if found is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    return Path(found).resolve().parent


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    server = Postgres(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: Postgres) -> str:
    return postgres_server.database(f"d{uuid4().hex[:12]}")
