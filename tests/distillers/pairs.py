"""Pairs of networks by their shapes, and steps, for tests of methods."""

from dataclasses import dataclass

import torch
from torch import Tensor

from afdcd.distillers.configs import PairShapes
from afdcd.distillers.context import StepContext
from afdcd.models.taps import Tap

STEP = StepContext(seed=0, iteration=0)


def pair_of(
    student_channels: int, teacher_channels: int, classes: int = 3, stride: int = 8
) -> PairShapes:
    """Both networks at one stride; their heads are one channel narrower."""
    encoder = Tap(student_channels, stride), Tap(teacher_channels, stride)
    head = Tap(student_channels - 1, stride), Tap(teacher_channels - 1, stride)
    logits = (Tap(classes, stride),) * 2
    return PairShapes({"encoder": encoder, "head": head, "logits": logits, "aux": logits}, classes)


@dataclass(frozen=True)
class Given(StepContext):
    """A step whose draws were made by somebody else."""

    drawn: Tensor | None = None

    def uniform(self, name: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
        assert self.drawn.shape == shape
        return self.drawn


def given(drawn: Tensor) -> Given:
    return Given(seed=0, iteration=0, drawn=drawn)
