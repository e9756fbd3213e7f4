"""Checkpoints as training programs save them, of networks whose every value differs from a new one's."""

from typing import Any

import torch
from torch import Tensor

from afdcd.models.config import ModelConfig
from afdcd.models.zoo import SegmentationNetwork
from tests.models.published import to_official

SMALL = ModelConfig(head="pspnet", encoder="mobilenetv2", head_width=16)


def trained(config: ModelConfig = SMALL, classes: int = 5) -> SegmentationNetwork:
    network = config.build(classes)
    generator = torch.Generator().manual_seed(0)
    for value in network.state_dict().values():
        noise = torch.rand(value.shape, generator=generator)
        value.copy_(noise + 0.5 if value.is_floating_point() else torch.tensor(7))
    return network


def official(config: ModelConfig = SMALL, classes: int = 5) -> dict[str, Tensor]:
    return to_official(trained(config, classes))


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in tensors.items()}


def zeros(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: torch.zeros_like(value) for key, value in tensors.items()}


def optimizer() -> dict[str, Any]:
    return {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(found[k].equal(expected[k]) for k in found)
