"""Where runs are recorded, and what a person reads when nobody answers there."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.tracking.server import (
    connect,
    git_commit,
    reason,
    shown,
    storage_root,
    study_database,
    tracking_uri,
)


def test_default_is_a_file_in_the_storage_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "new"))
    assert tracking_uri() == f"sqlite:///{tmp_path}/new/mlflow.db"
    assert study_database() == f"sqlite:///{tmp_path}/new/study.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    monkeypatch.setenv("AFDCD_STUDY_DB", "postgresql://db/x")
    assert (tracking_uri(), study_database()) == ("http://server:5000", "postgresql://db/x")


def test_storage_is_absolute_unless_it_is_a_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given, root in (
        ("runs", str(tmp_path / "runs")),
        ("~/runs", str(Path.home() / "runs")),
        ("s3://bucket/runs", "s3://bucket/runs"),
    ):
        monkeypatch.setenv("AFDCD_STORAGE", given)
        assert storage_root() == root


def test_remote_storage_needs_a_named_server_and_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", "s3://bucket/runs")
    with pytest.raises(UserError, match="so MLFLOW_TRACKING_URI must name"):
        tracking_uri()
    with pytest.raises(UserError, match="so AFDCD_STUDY_DB must name"):
        study_database()


def test_storage_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "file" / "runs"))
    with pytest.raises(UserError, match=r"AFDCD_STORAGE .* cannot be made"):
        tracking_uri()


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


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://user:s3cret@host:5000/x", "http://host:5000/x"),
        ("http://s3cret@host", "http://host"),
        ("postgresql://user:p@ss@host/db", "postgresql://host/db"),
        (
            "GET http://u:s3cret@a/b failed, see http://u:s3cret@c",
            "GET http://a/b failed, see http://c",
        ),
        ("sqlite:////data/a@b.db", "sqlite:////data/a@b.db"),
        ("http://host/a@b", "http://host/a@b"),
    ],
)
def test_passwords_are_never_shown(text: str, clean: str) -> None:
    assert shown(text) == clean


def test_reason_is_one_short_line() -> None:
    assert reason(RuntimeError("at http://u:p@h\nTraceback")) == "at http://h"
    assert reason(RuntimeError("")) == "RuntimeError"
    assert len(reason(RuntimeError("x" * 9999))) == 300


def test_experiment_is_made_once_with_artifacts_in_storage(mlflow_storage: Path) -> None:
    client, experiment = connect()
    assert connect()[1] == experiment
    assert client.get_experiment(experiment).artifact_location == f"{mlflow_storage}/artifacts"


def test_commit_of_an_image_is_what_its_builder_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_GIT_COMMIT", "abc123")
    assert git_commit() == "abc123"
    monkeypatch.delenv("AFDCD_GIT_COMMIT")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: (_ for _ in ()).throw(OSError()))
    assert git_commit() == "unknown"
