"""A training run as it is handed to a Ray Train worker, and how it ended."""

from dataclasses import dataclass
from typing import Any, Literal

from afdcd.config import FrozenConfig
from afdcd.training.trial import TrialConfig


class Job(FrozenConfig):
    """One run as a worker needs it.

    `name` identifies the job for ever, `title` is for people. `folder` (a path or URI) receives
    checkpoints, the final weights and the picture; `teacher` is a .safetensors path or URI with
    its card inside, which a run without distillation only shows in the picture.
    """

    name: str
    title: str
    config: TrialConfig
    folder: str
    teacher: str | None = None


@dataclass(frozen=True)
class RunResult:
    """How a job ended. `result` is its last report, empty if it never made one."""

    outcome: Literal["completed", "pruned", "failed", "killed"]
    result: dict[str, Any]
    cause: str = ""
