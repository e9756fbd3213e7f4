"""A real S3 server for tests: `store` is the URI of an empty bucket, reached by environment alone."""

import os
import socket
import subprocess
import sys
import time
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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[int]:
    """The port of a server that lives as long as the tests."""
    pytest.importorskip("moto", reason="the S3 server is moto's")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, **_environment(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(process, port)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the S3 server ended by itself"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the S3 server does not answer")


@pytest.fixture
def store(s3_server: int, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in _environment(s3_server).items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid4().hex[:12]}"
    boto3.client("s3", region_name=_REGION).create_bucket(Bucket=bucket)
    return f"s3://{bucket}"
