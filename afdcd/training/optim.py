"""Optimizers over student and distiller in one parameter group, and the learning rate.

The schedule is a function of the iteration, so there is no scheduler state to save.
Source: OSVAI/Af-DCD@5b086a7 (SGD, one group, weight decay on every parameter, no warm-up).
"""

from bisect import bisect_right
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from afdcd.training.recipe import AdamWConfig, PolyConfig, SGDConfig, TrainingConfig


def build_optimizer(
    config: TrainingConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """A fused optimizer: it leaves parameters and its state alone while its `found_inf` is 1.

    All state is there from the start, as torch's own is before its first step. So there is something
    to save, and nothing uninitialised, also if that step is left out.
    """
    if isinstance(config.optimizer, AdamWConfig):
        return _adamw(config, config.optimizer, parameters)
    return _sgd(config, config.optimizer, parameters)


def _sgd(
    config: TrainingConfig, kind: SGDConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.SGD:
    """Momentum starts at 0, from which the first step comes out as torch's own does."""
    made = torch.optim.SGD(
        parameters,
        lr=config.lr,
        momentum=kind.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )
    if kind.momentum:
        for parameter in made.param_groups[0]["params"]:
            made.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return made


def _adamw(
    config: TrainingConfig, kind: AdamWConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.AdamW:
    made = torch.optim.AdamW(
        parameters,
        lr=config.lr,
        betas=kind.betas,
        eps=kind.eps,
        weight_decay=config.weight_decay,
        fused=True,
    )
    for parameter in made.param_groups[0]["params"]:
        made.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return made


def state_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that an optimizer keeps, by name. SGD's has the name that it had when there was no other."""
    found = {}
    for index, slots in optimizer.state_dict()["state"].items():
        for slot, tensor in slots.items():
            name = "momentum" if slot == "momentum_buffer" else f"optimizer.{slot}"
            found[f"{name}.{index}"] = tensor
    return found


def learning_rate(config: TrainingConfig, iteration: int) -> float:
    """That of an iteration, counted from 0: the schedule's, less while it warms up."""
    return config.lr * _scheduled(config, iteration) * _warmed(config, iteration)


def _scheduled(config: TrainingConfig, iteration: int) -> float:
    schedule = config.schedule
    if isinstance(schedule, PolyConfig):
        return (1 - iteration / config.iterations) ** schedule.power
    return schedule.gamma ** bisect_right(schedule.milestones, iteration)


def _warmed(config: TrainingConfig, iteration: int) -> float:
    """A line from `start` to 1 (open-mmlab/mmcv@a0cba4f, `warmup='linear'`)."""
    warmup = config.warmup
    if warmup is None or iteration >= warmup.iterations:
        return 1.0
    return 1 - (1 - iteration / warmup.iterations) * (1 - warmup.start)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
