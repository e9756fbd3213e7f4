"""Registered weights whose place is gone: MLflow keeps whole paths, and storage may have moved."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mlflow.entities.model_registry import ModelVersion

from afdcd import storage
from afdcd.config import UserError
from afdcd.environment import storage_root
from afdcd.text import shown
from afdcd.training.artifacts import STUDENT_FILE

SHA256 = "sha256"  # tag of a version: of its weights


def moved(version: ModelVersion, model: str, why: str) -> Path:
    """The weights file of a version, from below the present storage root.

    Args:
        model: as a person named it.
        why: what MLflow said when it was to give them: they may be there, and their store silent.

    Raises:
        UserError: it is not there either.
    """
    for place in _places(str(version.source)):
        if storage.exists(place) and storage.sha256(place) == version.tags.get(SHA256):
            return _local(place)
    raise UserError(
        f"{model}: its files were at {shown(str(version.source))}, and MLflow cannot give them: "
        f"{shown(why)}; nor are they below AFDCD_STORAGE={shown(storage_root())}. If their store is "
        "well, put them back, or set AFDCD_STORAGE to the folder that they were moved to, or delete this "
        "version in MLflow: a teacher that a study trains is trained anew"
    )


def _places(source: str) -> list[str]:
    """Where the file would lie if a folder above it had another name; the longest rest first.

    A rest holds the run's id and the file's digest, so nothing else is found by it.
    """
    path = unquote(urlsplit(source).path) if "://" in source else source
    parts = PurePosixPath(path).parts[1:]
    root = storage_root()
    return [storage.join(root, *parts[at:], STUDENT_FILE) for at in range(len(parts) - 3)]


def _local(place: str) -> Path:
    if "://" not in place:
        return Path(place)
    with passing_folder():
        copy = Path(tempfile.mkdtemp()) / STUDENT_FILE
    copy.write_bytes(storage.read_bytes(place))
    return copy


@contextmanager
def passing_folder() -> Iterator[None]:
    """Temporary files lie in a folder of their own meanwhile, which goes when this process ends."""
    folder = tempfile.mkdtemp(prefix="afdcd-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    before, tempfile.tempdir = tempfile.tempdir, folder
    try:
        yield
    finally:
        tempfile.tempdir = before
