"""The checks of `afdcd doctor`, each a line: ok, or what to do."""

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from afdcd import storage
from afdcd.commands.versions import versions
from afdcd.config import UserError
from afdcd.environment import (
    VARIABLES,
    given,
    ray_address,
    shown,
    storage_root,
    study_database,
    tracking_uri,
)

SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED = 2 * 2**30  # Ray's objects and the batches that loader processes hand over
LEAST_ROOM = 10 * 2**30  # of storage: a study's checkpoints at the paper's size


@dataclass(frozen=True)
class Finding:
    """One line: `mend` is empty where all is well."""

    what: str
    found: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{'ok  ' if not self.mend else 'MEND'}  {self.what}: {self.found}" + (
            f"; {self.mend}" if self.mend else ""
        )


def execute() -> int:
    """Print every finding; 1 if anything is to be mended."""
    print(versions())
    print("\n".join(f"{name}={value}" for name, value in _variables()))
    findings = [finding for check in CHECKS for finding in _guarded(check)]
    print("\n".join(map(str, findings)))
    return int(any(finding.mend for finding in findings))


def _variables() -> list[tuple[str, str]]:
    """What is set, secrets and passwords left out."""
    values = [(variable, given(variable.name)) for variable in VARIABLES]
    return [(v.name, "(set)" if v.secret else shown(value)) for v, value in values if value]


def _guarded(check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except UserError as error:
        what = (check.__doc__ or check.__name__).rstrip(".").lower()
        return [Finding(what, "not usable", str(error))]


def _machine() -> list[Finding]:
    """Machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = [Finding("machine", f"{os.cpu_count()} CPUs, {memory:.0f} GiB, {platform.machine()}")]
    if SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(SHARED_MEMORY).free
        mend = "give the container more, e.g. --shm-size=8g" if free < LEAST_SHARED else ""
        found.append(Finding("shared memory", f"{free / 2**30:.1f} GiB", mend))
    return found


def _accelerator() -> list[Finding]:
    """GPU."""
    import torch

    from afdcd import kernels

    if not torch.cuda.is_available():
        return [Finding("GPU", "none that torch can use; training runs on the CPU")]
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    mend = "" if kernels.available() else "install gcc, or set CC: the kernels need a C compiler"
    return [Finding("GPU", f"{', '.join(names)}, CUDA {torch.version.cuda}", mend)]


def _storage() -> list[Finding]:
    """Storage."""
    root = storage_root()
    storage.write_bytes(storage.join(root, "writable"), b"")
    if "://" in root:
        return [Finding("storage", f"{shown(root)} can be written")]
    free = shutil.disk_usage(root).free
    mend = "" if free > LEAST_ROOM else "free some, or set AFDCD_STORAGE to another place"
    return [Finding("storage", f"{root} can be written, {free / 2**30:.0f} GiB free", mend)]


def _study_database() -> list[Finding]:
    """Study database."""
    from afdcd.tracking.server import check_database

    check_database(study_database(), "AFDCD_STUDY_DB")
    return [Finding("study database", f"{shown(study_database())} answers")]


def _mlflow() -> list[Finding]:
    """MLflow."""
    from afdcd.tracking.server import check_experiment, connect

    client, experiment = connect()
    check_experiment(client, experiment)
    return [Finding("MLflow", f"{shown(tracking_uri())} answers, experiment {experiment}")]


def _ray() -> list[Finding]:
    """Ray."""
    from afdcd.search.cluster import connect

    with connect() as cluster:
        where = ray_address() or "a local cluster starts"
        return [Finding("Ray", f"{where}: {cluster.cpus:g} CPU, {cluster.gpus:g} GPU")]


CHECKS = (_machine, _accelerator, _storage, _study_database, _mlflow, _ray)
