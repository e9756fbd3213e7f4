"""MLflow's own server on this machine, over the database and the files of AFDCD_STORAGE."""

import socket
import subprocess
import sys
import time

from afdcd.config import UserError
from afdcd.environment import inherited, storage_root, tracking_uri
from afdcd.text import shown
from afdcd.tracking.links import experiment_page
from afdcd.tracking.server import connect, introduce

HOST = "127.0.0.1"  # the page has no password, so it is for this machine alone
PATIENCE = 120.0  # seconds until the server answers
# Without its job runner the server starts in half the time and takes a third of the memory.
SERVER = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def execute(port: int) -> int:
    """Serve until Ctrl-C; the exit status.

    Raises:
        UserError: the port is taken, nothing is recorded there, or the server does not start.
    """
    uri = tracking_uri()
    client, experiment = connect()
    introduce(client, experiment)
    if uri.startswith("http"):
        print(f"open {experiment_page(shown(uri), experiment)}")
        return 0
    _check_free(port)
    # By environment: a database's password must not stand in the list of processes.
    environment = inherited(**SERVER, MLFLOW_BACKEND_STORE_URI=uri)
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
    command += ["--default-artifact-root", f"{storage_root()}/artifacts"]
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(server, port)
        print(f"open {experiment_page(f'http://{HOST}:{port}', experiment)}")
        print("Ctrl-C ends the server; the studies stay", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise UserError(f"--port {port}: cannot be used ({error}); choose another") from None


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise UserError(
                "the MLflow server ended by itself; to see why, run "
                f"mlflow server --backend-store-uri {shown(tracking_uri())}"
            )
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.2)
    raise UserError(f"the MLflow server did not answer within {PATIENCE:g} s")
