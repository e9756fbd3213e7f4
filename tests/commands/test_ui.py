"""`afdcd ui`: the page of a storage, or the address of the server that has it."""

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from afdcd.commands import ui
from afdcd.config import UserError
from afdcd.environment import inherited
from afdcd.search.local_cluster import free_port
from tests.running import ROOT, until


def test_a_server_that_runs_is_only_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:s3cret@mlflow.example/")
    monkeypatch.setattr(ui, "connect", lambda: (None, "7"))
    introduced = []
    monkeypatch.setattr(ui, "introduce", lambda *given: introduced.append(given))
    assert ui.execute(5000) == 0
    page = "https://mlflow.example/#/experiments/7/runs?workflowType=machine_learning"
    assert capsys.readouterr().out == f"open {page}&viewStateShareKey=afdcd\n"
    assert introduced == [(None, "7")]  # else the address would name a view that is not there


def test_a_port_that_is_taken_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "connect", lambda: (None, "1"))
    monkeypatch.setattr(ui, "introduce", lambda *given: None)
    with socket.socket() as taken:
        taken.bind((ui.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: cannot be used .*choose another"):
            ui.execute(port)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_page_is_served_until_it_is_interrupted(tmp_path: Path) -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "afdcd.ui", "--port", str(port)],
        cwd=ROOT,
        env=inherited(AFDCD_STORAGE=str(tmp_path)),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        printed = until(server, "Ctrl-C")
        assert f"open http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=" in printed
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            assert b"<title>MLflow</title>" in page.read()
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        server.kill()
