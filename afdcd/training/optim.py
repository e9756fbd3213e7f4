"""SGD over student and distiller in one parameter group, with a polynomial schedule.

The schedule is a function of the iteration, so there is no scheduler state to save.
Source: OSVAI/Af-DCD@5b086a7 (one group, weight decay on every parameter, no warm-up).
"""

from collections.abc import Iterable

import torch
from torch import nn

from afdcd.training.trial import TrainingConfig


def build_optimizer(config: TrainingConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.SGD:
    """A fused SGD: it leaves parameters and momentum alone while its `found_inf` is 1.

    Momentum starts at 0, from which the first step comes out as torch's own does. So there is one
    to save, and none uninitialised, also if that step is left out.
    """
    optimizer = torch.optim.SGD(
        parameters,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )
    if config.momentum:
        for parameter in optimizer.param_groups[0]["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def learning_rate(config: TrainingConfig, iteration: int) -> float:
    """`lr * (1 - iteration / iterations) ** poly_power`, iteration counted from 0."""
    return config.lr * (1 - iteration / config.iterations) ** config.poly_power


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
