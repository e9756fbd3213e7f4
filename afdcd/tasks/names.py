"""The tasks by name. Nothing here imports torch: a task is loaded where it is used.

Another package adds one without a change here, by an entry point in its own pyproject.toml:

    [project.entry-points."afdcd.tasks"]
    depth = "my_package.depth:DEPTH"
"""

from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from afdcd.config import UserError

if TYPE_CHECKING:
    from afdcd.tasks.base import Task

SEGMENTATION = "segmentation"
_OURS = {SEGMENTATION: "afdcd.tasks.segmentation_task:SEGMENTATION"}
GROUP = "afdcd.tasks"


@lru_cache
def places() -> dict[str, str]:
    """Where the object of each task is, as module:name."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | _OURS


def check_label_maps(task: str, model: str) -> None:
    """Raises UserError for a network whose task draws no label maps."""
    if task not in places():
        raise UserError(
            f"{model}: its task is {task}, which is not installed here; install its package"
        )
    if not task_named(task).label_maps:
        raise UserError(
            f"{model}: its task is {task}, whose networks give no label maps; use its own package"
        )


@lru_cache
def task_named(name: str) -> "Task":
    """Raises KeyError where there is none; `TrialConfig` has seen to it that there is."""
    module, _, attribute = places()[name].partition(":")
    task: Task = getattr(import_module(module), attribute)
    return task
