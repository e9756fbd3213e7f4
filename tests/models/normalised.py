"""Networks as they are after training: batch normalisations that do something."""

from typing import Any

import torch
from torch import Tensor, nn

from afdcd.models.config import ModelConfig
from afdcd.models.zoo import SegmentationNetwork

SIZES = [(41, 33), (24, 48)]


def network(head: Any, encoder: str, **settings: Any) -> SegmentationNetwork:
    torch.manual_seed(0)
    built = ModelConfig(head=head, encoder=encoder, **settings).build(5)
    settle(built)
    return built.eval()


def settle(module: nn.Module) -> None:
    """Statistics and weights that no normalisation starts with."""
    with torch.no_grad():
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(std=0.3)
                norm.running_var.uniform_(0.5, 2.0)
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.normal_(std=0.3)


def images(size: tuple[int, int], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(dtype)


def norms(module: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


def difference(plain: nn.Module, other: nn.Module, x: Tensor) -> float:
    """Largest over all outputs, relative to the largest value of each."""
    with torch.no_grad():
        a, b = plain(x), other(x)
    pairs = [(b.logits, a.logits), *((b.features[name], a.features[name]) for name in b.features)]
    return max(((p - q).abs().max() / q.abs().max()).item() for p, q in pairs)
