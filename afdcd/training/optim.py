"""Optimizers over student and distiller, and the learning rate.

The schedule is a function of the iteration, so there is no scheduler state to save.
Source: OSVAI/Af-DCD@5b086a7 (SGD, one group, weight decay on every parameter, no warm-up).
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from afdcd.training.recipe import AdamWConfig, PolyConfig, TrainingConfig


def build_optimizer(
    config: TrainingConfig,
    parameters: Iterable[nn.Parameter],
    rules: Mapping[nn.Parameter, tuple[float, bool]] | None = None,
) -> torch.optim.Optimizer:
    """A fused optimizer: it leaves parameters and its state alone while its `found_inf` is 1.

    All state is there from the start, as torch's own is before its first step. So there is something
    to save, and nothing uninitialised, also if that step is left out.

    Args:
        rules: `SegmentationNetwork.parameter_groups`; what is not in it has the common rule.
    """
    groups = _groups(config, parameters, rules or {})
    kind = config.optimizer
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay, "fused": True}
    if isinstance(kind, AdamWConfig):
        return started(torch.optim.AdamW(groups, betas=kind.betas, eps=kind.eps, **common))
    return started(torch.optim.SGD(groups, momentum=kind.momentum, **common))


def _groups(
    config: TrainingConfig,
    parameters: Iterable[nn.Parameter],
    rules: Mapping[nn.Parameter, tuple[float, bool]],
) -> list[dict[str, Any]]:
    """Parameters of one rule together, in the order in which they come."""
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in parameters:
        found.setdefault(rules.get(parameter, (1.0, True)), []).append(parameter)
    return [
        {
            "params": members,
            "lr_scale": scale,
            "lr": scale * config.lr,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (scale, decays), members in found.items()
    ]


def started(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """An SGD, Adam or AdamW with the state that it has before its first step.

    Momentum starts at 0, from which the first step comes out as torch's own does.

    Raises:
        ValueError: of another kind, not a fused one, or with amsgrad.
    """
    if (
        not isinstance(optimizer, torch.optim.SGD | torch.optim.Adam)
        or not optimizer.defaults["fused"]
    ):
        raise ValueError(
            f"{type(optimizer).__name__}: an SGD, Adam or AdamW with fused=True is needed"
        )
    for group in optimizer.param_groups:
        if group.get("amsgrad"):
            raise ValueError("amsgrad keeps more than is saved; leave it out")
        for parameter in group["params"]:
            optimizer.state[parameter] = _slots(optimizer, group, parameter)
    return optimizer


def _slots(
    optimizer: torch.optim.Optimizer, group: dict[str, Any], parameter: nn.Parameter
) -> dict[str, Tensor]:
    if isinstance(optimizer, torch.optim.SGD):
        return {"momentum_buffer": torch.zeros_like(parameter)} if group["momentum"] else {}
    return {
        "step": torch.zeros((), device=parameter.device),
        "exp_avg": torch.zeros_like(parameter),
        "exp_avg_sq": torch.zeros_like(parameter),
    }


def state_of(optimizer: torch.optim.Optimizer, owner: str = "") -> dict[str, Tensor]:
    """All that an optimizer keeps, by name. SGD's has the name that it had when there was no other.

    Args:
        owner: begins the names, where there are several optimizers.
    """
    found = {}
    for index, slots in optimizer.state_dict()["state"].items():
        for slot, tensor in slots.items():
            name = "momentum" if slot == "momentum_buffer" else f"optimizer.{slot}"
            found[f"{owner}{name}.{index}"] = tensor
    return found


def learning_rate(config: TrainingConfig, iteration: int) -> float:
    """That of an iteration, counted from 0: the schedule's, less while it warms up."""
    above = (config.lr - config.lr_floor) * _scheduled(config, iteration)
    return (config.lr_floor + above) * _warmed(config, iteration)


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
        group["lr"] = lr * group["lr_scale"]
