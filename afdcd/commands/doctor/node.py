"""What a node of the cluster finds. It runs there, and knows no more than it is given."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from afdcd import storage
from afdcd.commands.doctor.finding import Finding, guarded
from afdcd.commands.doctor.here import database_answers, shared_memory
from afdcd.commands.doctor.joined import keepalive
from afdcd.commands.doctor.speed import data_read, storage_used
from afdcd.commands.versions import PACKAGES
from afdcd.text import shown
from afdcd.version import code_sha256


@dataclass(frozen=True)
class Asked:
    """What each node is asked about: what holds where the command was given.

    Attributes:
        note: there is a file `doctor-NOTE` in `storage`.
        database: where a server is asked; None where it is a file, which only the driver opens.
        tracking: the same of MLflow.
        several: whether the cluster has more than one node.
    """

    versions: dict[str, str]
    storage: str
    note: str
    database: str | None
    tracking: str | None
    data: str | None
    several: bool


class Node:
    """An actor that stands on one node."""

    def now(self) -> float:
        return time.time()

    def look(self, asked: Asked) -> list[Finding]:
        checks: list[Callable[[], list[Finding]]] = [
            lambda: versions_alike(asked.versions, versions()),
            shared_memory,
            lambda: keepalive(asked.several),
        ]
        found = [finding for check in checks for finding in check()]
        for check in _checks(asked):
            found += guarded(check)
        return found


def _checks(asked: Asked) -> list[Callable[[], list[Finding]]]:
    """Those that may hang, or be refused."""

    def stored() -> list[Finding]:
        """Storage."""
        return storage_shared(asked.storage, asked.note)

    def kept() -> list[Finding]:
        """Study database."""
        return database_answers(asked.database) if asked.database else []

    def tracked() -> list[Finding]:
        """MLflow."""
        return _mlflow(asked.tracking) if asked.tracking else []

    def read() -> list[Finding]:
        """Data."""
        return data_read(asked.data) if asked.data else []

    return [stored, kept, tracked, read]


def versions() -> dict[str, str]:
    """Of this process: what a result depends on, and the code itself."""
    found = {"Python": python_version(), "code of afdcd": code_sha256()[:12]}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def versions_alike(here: dict[str, str], there: dict[str, str]) -> list[Finding]:
    """Versions."""
    others = [name for name in here if there.get(name) != here[name]]
    if not others:
        return [Finding("versions", "as here")]
    found = ", ".join(f"{name} {there.get(name)} (here {here[name]})" for name in others)
    mend = "use one image or lock on all of them; `ray job submit --working-dir .` brings the code"
    return [Finding("versions", found, mend)]


def storage_shared(root: str, note: str) -> list[Finding]:
    """That storage is the same one, and can be written."""
    if not storage.exists(storage.join(root, f"doctor-{note}")):
        mend = "set AFDCD_STORAGE to s3://... or to a folder that every node mounts"
        return [Finding("storage", f"{shown(root)} is another place than here", mend)]
    return [storage_used(root)]


def _mlflow(uri: str) -> list[Finding]:
    from afdcd.tracking.server import check_server

    check_server(uri)
    return [Finding("MLflow", f"{shown(uri)} answers")]
