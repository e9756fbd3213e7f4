"""Where runs are recorded: the MLflow server of MLFLOW_TRACKING_URI, else a SQLite file."""

import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from afdcd import storage
from afdcd.config import UserError
from afdcd.environment import (
    experiment_name,
    set_defaults,
    storage_root,
    store_defaults,
    tracking_uri,
)
from afdcd.tasks.score import DEFAULT_MEASURE
from afdcd.text import first_line, shown
from afdcd.tracking.databases import PORTS
from afdcd.tracking.links import view_of_everything

logging.getLogger("mlflow").setLevel(logging.WARNING)

SILENCE = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
_DELETED = re.compile(r"experiment (\w+) must be in the 'active' state")


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
    set_defaults(store_defaults(storage_root()))
    mlflow.set_tracking_uri(uri)
    name = experiment_name()
    try:
        client = MlflowClient()
        found = client.get_experiment_by_name(name)
        if found:
            return client, found.experiment_id
        place = None if uri.startswith("http") else _artifacts(storage_root())
        return client, client.create_experiment(name, artifact_location=place, tags=_words())
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise UserError(
            f"MLflow at {shown(uri)}: {reason(error)}; if this is no MLflow server or database, correct "
            "MLFLOW_TRACKING_URI"
        ) from None


def _artifacts(root: str) -> str:
    """Where MLflow keeps the files of runs: below storage, as a URI that it takes literally.

    The options of a store's URI are pyarrow's; MLflow is told by the environment (`store_defaults`).
    """
    if "://" not in root:
        return Path(root, "artifacts").as_uri()
    return storage.join(root, "artifacts").partition("?")[0]


def check_server(uri: str) -> None:
    """Ask a server one question, as a process that is no driver may; nothing is made there.

    Raises:
        UserError: it does not answer, or refuses.
    """
    _reachable(uri, f"MLflow at {shown(uri)}", "MLFLOW_TRACKING_URI")
    with refusals():
        MlflowClient(uri).get_experiment_by_name(experiment_name())


def check_experiment(client: MlflowClient, experiment: str) -> None:
    """Whether runs can be recorded there: a deleted experiment can still be found by its name.

    Raises:
        UserError: it was deleted; with the command that brings it back.
    """
    with refusals():
        stage = client.get_experiment(experiment).lifecycle_stage
    if stage != LifecycleStage.ACTIVE:
        raise UserError(_was_deleted(experiment))


def introduce(client: MlflowClient, experiment: str) -> None:
    """Let the page of an experiment open on what matters here, where nobody said anything else.

    Only looks depend on it, so a server that refuses is let be.
    """
    with suppress(MlflowException, OSError):
        known = client.get_experiment(experiment).tags
        for key, value in _words().items():
            if key not in known:
                client.set_experiment_tag(experiment, key, value)


def _words() -> dict[str, str]:
    """Tags of the experiment: the view for model training, its score, and the best runs first."""
    key, view = view_of_everything(DEFAULT_MEASURE.name)
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": DEFAULT_MEASURE.name,
        "mlflow.experiment.primaryMetric.greaterIsBetter": "true",
        key: view,
    }


def _was_deleted(experiment: str) -> str:
    uri = tracking_uri()
    # A URI with a password was set by the person, whose shell knows it.
    prefix = f"MLFLOW_TRACKING_URI={uri} " if shown(uri) == uri else ""
    return (
        f"MLflow at {shown(uri)}: experiment {experiment_name()!r} was deleted; bring it back with "
        f"`{prefix}python -m mlflow experiments restore --experiment-id {experiment}`, or name "
        "another: MLFLOW_EXPERIMENT_NAME=..."
    )


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
        if deleted := _DELETED.search(str(error)):
            raise UserError(_was_deleted(deleted[1])) from None
        silent = not isinstance(error, MlflowException) or error.error_code in SILENCE
        if silent and patient:
            raise
        what = "does not answer; run the same command again" if silent else "refused a request"
        raise UserError(f"MLflow {what}: {reason(error)}") from None
