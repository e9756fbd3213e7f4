"""What `afdcd doctor` looks at from where it is started."""

import os
import platform
import shutil
from pathlib import Path

from afdcd.commands.doctor.finding import Finding
from afdcd.commands.doctor.speed import storage_used
from afdcd.environment import storage_root, study_database, tracking_uri
from afdcd.text import shown

SHARED_MEMORY = Path("/dev/shm")
# Batches that loader processes hand over, some 100 MB at the paper's size; a container has 64 MB unasked.
LEAST_SHARED = 2**29
LEAST_ROOM = 10 * 2**30  # of storage: a study's checkpoints at the paper's size


def machine() -> list[Finding]:
    """Machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = f"{os.cpu_count()} CPUs, {memory:.0f} GiB, {platform.machine()}"
    return [Finding("machine", found), *shared_memory()]


def shared_memory() -> list[Finding]:
    """Shared memory."""
    if not SHARED_MEMORY.is_dir():
        return []
    free = shutil.disk_usage(SHARED_MEMORY).free
    mend = "give the container more, e.g. --shm-size=8g" if free < LEAST_SHARED else ""
    return [Finding("shared memory", f"{free / 2**30:.1f} GiB", mend)]


def accelerator() -> list[Finding]:
    """GPU."""
    import torch

    from afdcd import kernels

    if not torch.cuda.is_available():
        return [Finding("GPU", "none that torch can use; training runs on the CPU")]
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    mend = "" if kernels.available() else "install gcc, or set CC: the kernels need a C compiler"
    return [Finding("GPU", f"{', '.join(names)}, CUDA {torch.version.cuda}", mend)]


def bytecode() -> list[Finding]:
    """Bytecode."""
    import torch  # now its bytecode is kept, where it may be

    if torch.__spec__.cached and Path(torch.__spec__.cached).exists():
        return [Finding("bytecode", "kept")]
    found = (
        "not kept: every process of every run compiles all that it imports, which doubles its start"
    )
    libraries = Path(torch.__file__).parent.parent
    mend = f"unset PYTHONDONTWRITEBYTECODE, or call `python -m compileall -q {libraries}` once"
    return [Finding("bytecode", found, mend)]


def storage_here() -> list[Finding]:
    """Storage."""
    root = storage_root()
    found = storage_used(root)
    if "://" in root or found.mend:
        return [found]
    free = shutil.disk_usage(root).free
    mend = "" if free > LEAST_ROOM else "free some, or set AFDCD_STORAGE to another place"
    return [Finding("storage", f"{found.found}; {free / 2**30:.0f} GiB free", mend)]


def database_here() -> list[Finding]:
    """Study database."""
    return database_answers(study_database())


def database_answers(url: str) -> list[Finding]:
    """Study database."""
    from afdcd.tracking.server import check_database

    check_database(url, "AFDCD_STUDY_DB")
    return [Finding("study database", f"{shown(url)} answers")]


def mlflow_here() -> list[Finding]:
    """MLflow."""
    from afdcd.tracking.server import check_experiment, connect

    client, experiment = connect()
    check_experiment(client, experiment)
    return [Finding("MLflow", f"{shown(tracking_uri())} answers, experiment {experiment}")]
