"""Where runs are recorded, and what a person reads when nobody answers there."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.tracking.server import connect, reason


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port that is taken, so that nobody else gets it, and at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@pytest.fixture
def broken_port() -> Iterator[int]:
    """A server that accepts connections and answers every request with an error."""

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()
            self.wfile.write(b"<html>not mlflow</html>")

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def refusal(uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a person reads, told without waiting: MLflow's client alone would try again and again."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(UserError) as error:
        connect()
    assert waits == []
    text = str(error.value)
    assert "\n" not in text
    assert "s3cret" not in text
    assert "127.0.0.1" in text
    return text


def test_unreachable_server_fails_at_once_without_password(
    refusing_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = refusal(f"http://user:s3cret@127.0.0.1:{refusing_port}", monkeypatch)
    assert "cannot be reached" in text
    assert "MLFLOW_TRACKING_URI" in text


def test_what_is_no_mlflow_server_is_one_line_without_password(
    broken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal(f"http://user:s3cret@127.0.0.1:{broken_port}", monkeypatch)


def test_reason_is_one_short_line() -> None:
    assert reason(RuntimeError("at http://u:p@h\nTraceback")) == "at http://h"
    assert reason(RuntimeError("")) == "RuntimeError"
    assert len(reason(RuntimeError("x" * 9999))) == 300


def test_experiment_is_made_once_with_artifacts_in_storage(mlflow_storage: Path) -> None:
    client, experiment = connect()
    assert connect()[1] == experiment
    assert (
        client.get_experiment(experiment).artifact_location == f"file://{mlflow_storage}/artifacts"
    )
