"""SGD over student and distiller in one parameter group, with a polynomial schedule.

The schedule is a function of the iteration, so there is no scheduler state to save.
Source: OSVAI/Af-DCD@5b086a7 (one group, weight decay on every parameter, no warm-up).
"""

from collections.abc import Iterable

import torch
from torch import nn

from afdcd.training.trial import TrainingConfig


def build_optimizer(config: TrainingConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.SGD:
    return torch.optim.SGD(
        parameters,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )


def learning_rate(config: TrainingConfig, iteration: int) -> float:
    """`lr * (1 - iteration / iterations) ** poly_power`, iteration counted from 0."""
    return config.lr * (1 - iteration / config.iterations) ** config.poly_power


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
