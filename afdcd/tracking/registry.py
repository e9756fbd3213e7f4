"""Model versions that a person can choose by: weights as safetensors, the evidence beside them.

A version is of exactly one file: it carries the sha256 of its weights, and only a version of the
same run and the same file is ever brought up to date. Registering may be cut short between any two
requests; doing it again ends in the same state.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from afdcd.config import UserError
from afdcd.text import shown
from afdcd.tracking.moved import SHA256, moved, passing_folder
from afdcd.tracking.pages import STUDY
from afdcd.tracking.points import told
from afdcd.tracking.runs import attach
from afdcd.tracking.server import connect, reason, refusals
from afdcd.training.artifacts import STUDENT_FILE

FOLDER = "model"  # of a run's artifacts; below it one folder for each file that was registered
FINGERPRINT = "fingerprint"
ALIAS = "afdcd.alias."  # tag of a model: the version that we set the alias to, or are about to
BEFORE = ".before"  # the same tag with this: where the alias stood; only while it is being moved
REGISTERED = re.compile(r"models:/[^/@]+(@[^/@]+|/[^/@]+)")
MISSING, EXISTS = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"


@dataclass(frozen=True)
class Version:
    """A model version to be: what people compare goes into tags, the rest into the description.

    Attributes:
        about: what the registered model is, for one that is made now.
        study: id of the study that makes it; None for a teacher.
    """

    name: str
    run: str
    tags: dict[str, str]
    description: str
    aliases: tuple[str, ...] = field(default_factory=tuple)
    about: str = ""
    study: str | None = None


def model_name(client: MlflowClient, name: str, study: str, asked: bool) -> str:
    """The model that a study registers under: `name`, unless that belongs to another study.

    Args:
        study: id of the study.
        asked: a person asked to share it.

    Raises:
        UserError: the server refuses or does not answer.
    """
    with refusals():
        model = _model(client, name)
    if model is None or asked or model.tags.get(STUDY) == study:
        return name
    return f"{name}-{study[:8]}"


def register(client: MlflowClient, version: Version, weights: bytes) -> str:
    """Register a run's weights; what is registered already is brought up to date.

    Returns:
        The version's number.

    Raises:
        UserError: the server refuses or does not answer; registering again is harmless.
    """
    with refusals():
        number = _register(client, version, hashlib.sha256(weights).hexdigest(), weights)
    for alias in version.aliases:
        point(client, version.name, alias, number, version.study)
    return number


def point(client: MlflowClient, name: str, alias: str, number: str, study: str | None) -> str:
    """Set an alias of a model to a version, unless a person or another study holds it elsewhere.

    What is about to be done is written down first. So after a crash an alias that still stands at
    the older version can be told from one that a person put there.

    Returns:
        Why it was not moved; nothing if it was.

    Raises:
        UserError: the server refuses or does not answer; doing it again goes on.
    """
    with refusals():
        model = client.get_registered_model(name)
        held = _held(model, alias)
        if held not in (None, number) and (why := _not_ours(client, model, alias, study)):
            return (
                f"models:/{name}@{alias} stays at version {held}, {why}; to move it to version "
                f"{number}, set the alias in the MLflow page of the model"
            )
        intent = f"{ALIAS}{alias}"
        if held != number:
            client.set_registered_model_tag(name, intent + BEFORE, held or "none")
            client.set_registered_model_tag(name, intent, number)
            client.set_registered_model_alias(name, alias, number)
        elif model.tags.get(intent) != number:
            client.set_registered_model_tag(name, intent, number)
        if held != number or intent + BEFORE in model.tags:
            client.delete_registered_model_tag(name, intent + BEFORE)
    return ""


def withdraw(
    client: MlflowClient, name: str, alias: str, study: str, only: str | None = None
) -> None:
    """Take an alias away that this study set, unless it stands elsewhere by now.

    Args:
        only: take it from no other version than this.

    Raises:
        UserError: the server refuses or does not answer; doing it again goes on.
    """
    with refusals():
        model = client.get_registered_model(name)
        held = _held(model, alias)
        if held is not None:
            if (only and held != only) or _not_ours(client, model, alias, study):
                return
            client.delete_registered_model_alias(name, alias)
        if f"{ALIAS}{alias}" in model.tags:
            client.delete_registered_model_tag(name, f"{ALIAS}{alias}")


def find(client: MlflowClient, fingerprint: str) -> str | None:
    """The `models:/name/version` of the run with this fingerprint, if one is registered."""
    with refusals():
        found = _versions(client, f"tags.{FINGERPRINT} = '{fingerprint}'")
    return f"models:/{found[0].name}/{found[0].version}" if found else None


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
    client, _ = connect()
    try:
        with passing_folder():  # what lies on this machine is not copied
            place = Path(mlflow.artifacts.download_artifacts(model))
    except (MlflowException, OSError) as error:
        if version := _version(client, model):
            return moved(version, model, why=reason(error))
        raise UserError(
            f"{model}: not in the registry at {shown(mlflow.get_tracking_uri())}: {reason(error)}; "
            "choose one that the MLflow UI lists, or correct MLFLOW_TRACKING_URI"
        ) from None
    if found := sorted(place.rglob("*.safetensors")):
        return found[0]
    version = _version(client, model)
    if version and SHA256 in version.tags:  # an object store from which they are gone lists nothing
        return moved(version, model, why="there are no files")
    raise UserError(f"{model}: holds no .safetensors file; it was not registered by afdcd")


def weights_of(client: MlflowClient, run: str) -> Iterator[bytes]:
    """The weights that were registered of a run, each whole; nothing where MLflow cannot give them.

    They lie below the run's artifacts, each in a folder that its sha256 begins with.
    """
    with suppress(MlflowException, OSError), tempfile.TemporaryDirectory() as place:
        for folder in client.list_artifacts(run, FOLDER):
            file = f"{folder.path}/{STUDENT_FILE}"
            weights = Path(client.download_artifacts(run, file, place)).read_bytes()
            if hashlib.sha256(weights).hexdigest().startswith(Path(folder.path).name):
                yield weights


def _version(client: MlflowClient, model: str) -> ModelVersion | None:
    """What the registry knows of a model whose files it cannot give; nothing if it has none."""
    name, at, alias = model.removeprefix("models:/").partition("@")
    try:
        if at:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(*name.rsplit("/", 1))
    except (MlflowException, OSError):
        return None


def _register(client: MlflowClient, version: Version, sha256: str, weights: bytes) -> str:
    of_study = {STUDY: version.study} if version.study else {}
    tags = told({**version.tags, **of_study, SHA256: sha256})
    _make_model(client, version, of_study)
    of_run = _versions(client, f"name = '{version.name}' and run_id = '{version.run}'")
    known = next((found for found in of_run if found.tags.get(SHA256) == sha256), None)
    if known is None:
        return _create(client, version, tags, weights)
    for key, value in tags.items():
        if known.tags.get(key) != value:
            client.set_model_version_tag(version.name, known.version, key, value)
    if known.description != version.description:
        client.update_model_version(version.name, known.version, version.description)
    return str(known.version)


def _make_model(client: MlflowClient, version: Version, tags: dict[str, str]) -> None:
    """With its owner from the first moment: one without would be taken for somebody else's."""
    about = version.about or None
    try:
        client.create_registered_model(version.name, tags=tags, description=about)
    except MlflowException as error:
        if error.error_code != EXISTS:
            raise


def _create(client: MlflowClient, version: Version, tags: dict[str, str], weights: bytes) -> str:
    folder = f"{FOLDER}/{tags[SHA256][:16]}"  # another file of the same run stays what it is
    attach(client, version.run, STUDENT_FILE, weights, folder)
    source = f"{client.get_run(version.run).info.artifact_uri}/{folder}"
    made = client.create_model_version(
        version.name, source, version.run, tags=tags, description=version.description
    )
    return str(made.version)


def _model(client: MlflowClient, name: str) -> RegisteredModel | None:
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != MISSING:
            raise
        return None


def _held(model: RegisteredModel, alias: str) -> str | None:
    version = model.aliases.get(alias)
    return None if version is None else str(version)


def _not_ours(client: MlflowClient, model: RegisteredModel, alias: str, study: str | None) -> str:
    """Why the alias must not be moved from where it stands; nothing where it may be."""
    held = _held(model, alias)
    if client.get_model_version(model.name, held).tags.get(STUDY) != study:
        return "which another study or a person registered"
    # The latter: a move that was begun and not finished.
    ours = (model.tags.get(f"{ALIAS}{alias}"), model.tags.get(f"{ALIAS}{alias}{BEFORE}"))
    return "" if held in ours else "where a person put it"


def _versions(client: MlflowClient, query: str) -> list[ModelVersion]:
    return list(client.search_model_versions(query, order_by=["creation_timestamp DESC"]))
