"""The tasks by name. Nothing here imports torch: a task is loaded where it is used.

Another package adds one without a change here, by an entry point in its own pyproject.toml:

    [project.entry-points."afdcd.tasks"]
    depth = "my_package.depth:DEPTH"
"""

import hashlib
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from afdcd.config import UserError
from afdcd.text import first_line

if TYPE_CHECKING:
    from afdcd.tasks.base import Task

GROUP = "afdcd.tasks"
SEGMENTATION = "segmentation"
_OURS = EntryPoint(SEGMENTATION, "afdcd.tasks.segmentation_task:SEGMENTATION", GROUP)


@lru_cache
def places() -> dict[str, EntryPoint]:
    """Where the object of each task is.

    Raises:
        UserError: two packages have a task of one name.
    """
    found = {SEGMENTATION: _OURS}
    for point in entry_points(group=GROUP):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise UserError(
                f"task {point.name} is both {other.value} and {point.value}; uninstall one of the two"
            )
    return found


@lru_cache
def task_named(name: str) -> "Task":
    """The task of this name.

    Raises:
        UserError: it is not installed here, or its package cannot be loaded.
    """
    if name not in places():
        raise UserError(f"task {name} is not installed here; install its package")
    point = places()[name]
    try:
        task: Task = point.load()
    except Exception as error:  # whatever importing somebody's module may raise
        raise UserError(
            f"task {name}: {point.value} cannot be loaded: {first_line(error)}"
        ) from None
    return task


def task_of(model: str, task: str) -> "Task":
    """The task of a finished network.

    Raises:
        UserError: it is not installed here, or its package cannot be loaded.
    """
    try:
        return task_named(task)
    except UserError as error:
        raise UserError(f"{model}: {error}") from None


def of_task(name: str) -> str:
    """What a task adds to a name; segmentation, which was there first, adds nothing."""
    return "" if name == SEGMENTATION else f"-{name}"


def code_of_others() -> str:
    """Digest of the source of all packages that bring a task; empty where there are none."""
    digest, known = hashlib.sha256(), False
    for name, point in sorted(places().items()):
        spec = find_spec(point.module.partition(".")[0]) if name != SEGMENTATION else None
        origin = Path(spec.origin) if spec and spec.origin else None
        if origin is None:
            continue
        package = origin.name == "__init__.py"
        for file in sorted(origin.parent.rglob("*.py")) if package else [origin]:
            known = True
            digest.update(f"{name} {file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest() if known else ""
