"""Where runs are recorded: the MLflow server of MLFLOW_TRACKING_URI, else a SQLite file."""

import logging
import os
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

# Before mlflow is imported: it reads these once.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from afdcd.config import UserError

logging.getLogger("mlflow").setLevel(logging.WARNING)

EXPERIMENT = "afdcd"


def storage_root() -> str:
    """Where runs, checkpoints and the default databases live: AFDCD_STORAGE, a path or URI."""
    root = os.environ.get("AFDCD_STORAGE") or str(Path.home() / "afdcd-runs")
    return root if "://" in root else str(Path(root).expanduser().absolute())


def tracking_uri() -> str:
    """The MLflow tracking URI.

    Raises:
        UserError: storage is remote and no server is named: a SQLite file cannot live there.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri:
        return uri
    return _sqlite("mlflow.db", "MLFLOW_TRACKING_URI")


def study_database() -> str:
    """The SQLAlchemy URL of the study database: AFDCD_STUDY_DB, else a SQLite file."""
    return os.environ.get("AFDCD_STUDY_DB") or _sqlite("study.db", "AFDCD_STUDY_DB")


def _sqlite(name: str, variable: str) -> str:
    root = storage_root()
    if "://" in root:
        raise UserError(f"AFDCD_STORAGE is {root}, so {variable} must name a database or server")
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"AFDCD_STORAGE {root}: cannot be made: {error.strerror}") from None
    return f"sqlite:///{root}/{name}"


def connect() -> tuple[MlflowClient, str]:
    """A client and the id of the experiment that holds all studies.

    Raises:
        UserError: the tracking server does not answer, or refuses.
    """
    uri = tracking_uri()
    _reachable(uri)
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    try:
        found = client.get_experiment_by_name(name)
        if found:
            return client, found.experiment_id
        place = None if uri.startswith("http") else f"{storage_root()}/artifacts"
        return client, client.create_experiment(name, artifact_location=place)
    except MlflowException as error:
        reason = str(error).splitlines()[0][:300]
        raise UserError(f"MLflow at {shown(uri)}: {reason}") from None


def _reachable(uri: str) -> None:
    """Fail within seconds and in one line where the client would retry for minutes."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"MLflow at {shown(uri)} cannot be reached ({error}); start the server or change "
            "MLFLOW_TRACKING_URI"
        ) from None


def shown(uri: str) -> str:
    """The URI without a user name and password that it may carry."""
    parts = urlsplit(uri)
    return uri.replace(f"{parts.username}:{parts.password}@", "") if parts.password else uri


def git_commit() -> str:
    """The commit of the code that runs, `+changes` if it differs; AFDCD_GIT_COMMIT in an image."""
    given = os.environ.get("AFDCD_GIT_COMMIT")
    if given:
        return given
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(here, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
