"""What the verbs `evaluate` and `predict` ask of a task, and what they are told."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.splits import Role
from afdcd.data.train.config import DataConfig
from afdcd.tasks.options import SINGLE_PASS, InferenceConfig

Shown: TypeAlias = tuple[str, Tensor, Any]  # key, image [1 3 H W], targets of one image


@dataclass(frozen=True)
class Asked:
    """How a network is to be judged.

    Attributes:
        model: as the person wrote it, for messages.
        inference: how an image is shown.
        export: folder or URI for predictions in the data set's own form.
    """

    model: str
    dataset: Dataset
    data: DataConfig
    split: Role
    device: torch.device
    inference: InferenceConfig = SINGLE_PASS
    export: str | None = None

    @property
    def withheld(self) -> bool:
        """Whether nobody but the data set's own server has the labels."""
        return not self.dataset.labelled(self.data.protocol, self.split)

    def check_plain(self, task: str) -> None:
        """Raises UserError for what a task without options of its own cannot do."""
        check_single_pass(self.inference, task)
        if self.export:
            raise UserError(f"--export: task {task} has no form of its own for predictions")
        if self.withheld:
            raise UserError(
                f"the labels of {self.dataset.name}/{self.split} are withheld; choose --split val"
            )


@dataclass(frozen=True)
class Examined:
    """What was found: `values` for a program (JSON-compatible), `text` the same for a person."""

    values: dict[str, Any]
    text: str


def check_single_pass(inference: InferenceConfig, task: str) -> None:
    """Raises UserError for windows, scales or mirror images, where a task knows only whole ones."""
    if inference != SINGLE_PASS:
        raise UserError(
            f"task {task} shows images whole and once; leave --window, --stride, --scales, --flip out"
        )
