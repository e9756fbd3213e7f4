"""Where runs are recorded: the MLflow server of MLFLOW_TRACKING_URI, else a SQLite file."""

import logging
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
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
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from afdcd.config import UserError
from afdcd.text import first_line

logging.getLogger("mlflow").setLevel(logging.WARNING)

EXPERIMENT = "afdcd"
SILENCE = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
PORTS = {"https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


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
        raise UserError(
            f"AFDCD_STORAGE is {root}, so {variable} must name a database or server: set it"
        )
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"AFDCD_STORAGE {root}: cannot be made ({error.strerror}); set it to a folder that "
            "may be written to"
        ) from None
    return f"sqlite:///{root}/{name}"


def connect() -> tuple[MlflowClient, str]:
    """A client and the id of the experiment that holds all studies.

    Raises:
        UserError: the tracking server does not answer, or refuses.
    """
    uri = tracking_uri()
    if not uri.startswith(("http://", "https://", "databricks")):
        check_database(uri, "MLFLOW_TRACKING_URI")
    else:
        _reachable(uri, f"MLflow at {shown(uri)}", "MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    try:
        client = MlflowClient()
        found = client.get_experiment_by_name(name)
        if found:
            return client, found.experiment_id
        place = None if uri.startswith("http") else f"{storage_root()}/artifacts"
        # Without this tag the page opens on its view for language model traces.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return client, client.create_experiment(name, artifact_location=place, tags=kind)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise UserError(
            f"MLflow at {shown(uri)}: {reason(error)}; if this is no MLflow server or database, correct "
            "MLFLOW_TRACKING_URI"
        ) from None


def check_database(url: str, variable: str) -> None:
    """Connect once, where the libraries above would retry for minutes.

    Raises:
        UserError: no database URL, its driver is not installed, or nothing answers there.
    """
    try:
        make_url(url).get_dialect()
        if make_url(url).host:
            _reachable(url, f"{variable}: database {shown(url)}", variable)
        engine = create_engine(url)
        engine.connect().close()
        engine.dispose()
    except ModuleNotFoundError as error:
        raise UserError(
            f"{variable}: database {shown(url)} needs the Python package {error.name!r}; install "
            f"it, or correct {variable}"
        ) from None
    except (SQLAlchemyError, OSError, ValueError) as error:
        raise UserError(
            f"{variable}: {shown(url)!r} cannot be used: {first_line(error)}; give the "
            "URL of a server or database that exists, e.g. sqlite:////folder/file.db"
        ) from None


def _reachable(uri: str, what: str, variable: str) -> None:
    """Fail within seconds and in one line where the client would retry for minutes."""
    parts = urlsplit(uri)
    try:
        port = parts.port or PORTS.get(parts.scheme.partition("+")[0], 80)
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{what} cannot be reached ({first_line(error)}); start the server or change {variable}"
        ) from None


def shown(text: str) -> str:
    """A URI, or a text that holds some, without the user names and passwords in them."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)


def reason(error: Exception) -> str:
    """The first line of an MLflow error: it may go on for pages, and quotes the server's URI."""
    return shown(first_line(error))[:300]


@contextmanager
def refusals(*, patient: bool = False) -> Iterator[None]:
    """MLflow's errors as a person's: a refused request always, silence unless `patient`.

    Raises:
        UserError: one line with the server's reason.
        MlflowException, OSError: silence, where `patient`.
    """
    try:
        yield
    except (MlflowException, OSError) as error:
        silent = not isinstance(error, MlflowException) or error.error_code in SILENCE
        if silent and patient:
            raise
        what = "does not answer; run the same command again" if silent else "refused a request"
        raise UserError(f"MLflow {what}: {reason(error)}") from None


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
