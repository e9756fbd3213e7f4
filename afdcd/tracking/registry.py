"""Model versions that a person can choose by: weights as safetensors, the evidence beside them."""

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from afdcd.config import UserError
from afdcd.environment import shown
from afdcd.tracking.server import connect, reason, refusals
from afdcd.training.artifacts import STUDENT_FILE

FOLDER = "model"  # the run's artifact folder that a model version points to
FINGERPRINT = "fingerprint"
REGISTERED = re.compile(r"models:/[^/@]+(@[^/@]+|/[^/@]+)")


@dataclass(frozen=True)
class Version:
    """A model version to be: what people compare goes into tags, the rest into the description."""

    name: str
    run: str
    tags: dict[str, str]
    description: str
    aliases: tuple[str, ...] = field(default_factory=tuple)


def register(client: MlflowClient, version: Version, weights: bytes) -> str:
    """Register a run's weights; of a run that already has a version, that one is brought up to date.

    Returns:
        The version's number.

    Raises:
        UserError: the server refuses or does not answer; registering again is harmless.
    """
    with refusals():
        return _register(client, version, weights)


def _register(client: MlflowClient, version: Version, weights: bytes) -> str:
    known = _versions(client, f"name = '{version.name}' and run_id = '{version.run}'")
    number = known[0].version if known else _create(client, version, weights)
    for key, value in version.tags.items():
        client.set_model_version_tag(version.name, number, key, value)
    client.update_model_version(version.name, number, version.description)
    given = client.get_registered_model(version.name).aliases
    for alias in version.aliases:
        if not known or alias not in given:  # else a person may have chosen another version
            client.set_registered_model_alias(version.name, alias, number)
    return str(number)


def _create(client: MlflowClient, version: Version, weights: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STUDENT_FILE
        path.write_bytes(weights)
        client.log_artifact(version.run, str(path), FOLDER)
    try:
        client.create_registered_model(version.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(version.run).info.artifact_uri}/{FOLDER}"
    return client.create_model_version(version.name, source=source, run_id=version.run).version


def find(client: MlflowClient, fingerprint: str) -> str | None:
    """The `models:/name/version` of the run with this fingerprint, if one is registered."""
    with refusals():
        found = _versions(client, f"tags.{FINGERPRINT} = '{fingerprint}'")
    return f"models:/{found[0].name}/{found[0].version}" if found else None


def _versions(client: MlflowClient, query: str) -> list:
    return list(client.search_model_versions(query, order_by=["creation_timestamp DESC"]))


def fetch(model: str) -> Path:
    """The weights file of a model, downloaded if it is in the registry.

    Args:
        model: a .safetensors path, or `models:/name@alias` or `models:/name/version`.

    Raises:
        UserError: no such model, version or alias, or one that holds no afdcd weights.
    """
    if ":/" not in model:
        return Path(model)
    if not REGISTERED.fullmatch(model):
        raise UserError(
            f"{model}: names no model; give a .safetensors file here, models:/name@alias or "
            "models:/name/version"
        )
    connect()
    try:
        place = Path(mlflow.artifacts.download_artifacts(model))
    except (MlflowException, OSError) as error:
        raise UserError(
            f"{model}: not in the registry at {shown(mlflow.get_tracking_uri())}: {reason(error)}; "
            "choose one that the MLflow UI lists, or correct MLFLOW_TRACKING_URI"
        ) from None
    found = sorted(place.rglob("*.safetensors"))
    if not found:
        raise UserError(f"{model}: holds no .safetensors file; it was not registered by afdcd")
    return found[0]
