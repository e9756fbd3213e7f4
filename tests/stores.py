"""A real S3 server for tests: `store` is the URI of an empty bucket, reached by environment alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
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
