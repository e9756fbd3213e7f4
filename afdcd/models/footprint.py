"""What a forward pass of a network in training computes and keeps, found without memory or arithmetic."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from afdcd.models.config import ModelConfig


@dataclass(frozen=True)
class Footprint:
    """Of one image; the auxiliary head is in it.

    Attributes:
        gmacs: 10^9 multiply-accumulates of convolutions and linear layers.
        floats: numbers that are kept for the backward pass.
        other: bytes of what is kept besides numbers: places of maxima, dropout's masks.
        features: (channels, height, width) of the `encoder` tap.
    """

    parameters: int
    gmacs: float
    floats: int
    other: int
    features: tuple[int, int, int]


@lru_cache(maxsize=64)
def footprint(config: ModelConfig, classes: int, height: int, width: int) -> Footprint:
    """Of the network that `config` builds, for crops of height x width. Runs on the meta device.

    Torch's own counter of operations (`complexity.gmacs`) takes five times as long.
    """
    with torch.device("meta"):
        network = config.updated(pretrained=None).build(classes).train()
        images = torch.empty(1, 3, height, width)
    _shorten_batch_norm(network)
    kept = _Kept({parameter.untyped_storage()._cdata for parameter in network.parameters()})
    macs = _count_macs(network)
    with torch.autograd.graph.saved_tensors_hooks(kept.keep, lambda tensor: tensor):
        output = network(images)
    return Footprint(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        gmacs=sum(macs) / 1e9,
        floats=sum(size for size, floating in kept.sizes.values() if floating) // 4,
        other=sum(size for size, floating in kept.sizes.values() if not floating),
        features=tuple(output.features["encoder"].shape[1:]),
    )


class _Kept:
    """Notes what autograd keeps, each storage once, and holds it so that no other takes its place."""

    def __init__(self, parameters: set[int]) -> None:
        self.sizes: dict[int, tuple[int, bool]] = {}
        self._parameters, self._held = parameters, list[Tensor]()

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._parameters:
            self.sizes[storage._cdata] = (storage.nbytes(), tensor.is_floating_point())
            self._held.append(tensor)
        return tensor


def _count_macs(network: nn.Module) -> list[int]:
    """Filled by the next forward pass: what each layer multiplies."""
    macs: list[int] = []

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        macs.append(layer.weight.numel() * output.numel() // layer.weight.shape[0])

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    return macs


class _BatchNorm(torch.autograd.Function):
    """Keeps its input, as batch normalisation does; without memory that takes most of the time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def _shorten_batch_norm(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            after = getattr(module, "act", None)  # timm's normalise and activate
            module.forward = _normalising(after)  # type: ignore[method-assign]


def _normalising(after: nn.Module | None) -> Any:
    def forward(x: Tensor) -> Tensor:
        y = _BatchNorm.apply(x)
        return y if after is None else after(y)

    return forward
