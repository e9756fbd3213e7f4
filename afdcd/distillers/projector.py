"""Align to the teacher's channels, mask, project: two thirds of a training step's arithmetic.

Modules as in OSVAI/Af-DCD@5b086a7 `losses/ocmgd.py`. Axes: b images, s t channels of student and
teacher, h w rows and columns, q kept positions.
"""

import time
from collections.abc import Callable
from typing import cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from afdcd.distillers.algorithm import ALGORITHMS, SMALL, Algorithm, Choose, by_rule
from afdcd.distillers.configs import PairShapes
from afdcd.distillers.configs.reconstruction import ReconstructionConfig
from afdcd.distillers.configs.shapes import ENCODER
from afdcd.distillers.masked_conv import kept_conv3x3_relu, kept_positions
from afdcd.distillers.winograd import winograd_conv3x3
from afdcd.losses.reconstruction import centre_mask, keep_mask

Convolve = Callable[[nn.Conv2d, Tensor], Tensor]

ROUNDS, PATIENCE = 4, 5.0  # measure each that often, or until so many seconds are spent


class MaskedReconstruction(nn.Module):
    """Rebuild the teacher's map from the kept positions of the student's.

    Attributes:
        algorithm: see `afdcd.distillers.algorithm`. "auto" is decided on the first map it trains
            on and stays so, also in checkpoints: a resumed run rounds as the uninterrupted one.
        choose: decides with the help of a measurement; None decides by rule.
    """

    def __init__(self, config: ReconstructionConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config = config
        inputs, channels = pair.channels(ENCODER)
        self.align = nn.Identity() if inputs == channels else nn.Conv2d(inputs, channels, 1)
        self.projector = (PlainProjector if config.projector == "plain" else EnhancedProjector)(
            channels
        )
        self.algorithm: Algorithm = "auto"
        self.choose: Choose | None = None

    def forward(
        self, feature: Float[Tensor, "b s h w"], uniform: Float[Tensor, "b 1 h w"] | None
    ) -> Float[Tensor, "b t h w"]:
        mask = self._mask(feature, uniform)
        if self.algorithm == "auto" and torch.is_grad_enabled():
            self.algorithm = self._chosen(feature, mask)
        return self._rebuild(feature, mask, self.algorithm)

    def _mask(
        self, feature: Float[Tensor, "b s h w"], uniform: Float[Tensor, "b 1 h w"] | None
    ) -> Bool[Tensor, "b 1 h w"]:
        images, _, height, width = feature.shape
        if self.config.mask == "centre":
            return centre_mask(height, width, feature.device).expand(images, -1, -1, -1)
        if uniform is None:
            raise ValueError("mask 'random' needs uniform draws; the caller passes uniform")
        return keep_mask(uniform, self.config.mask_ratio)

    def _rebuild(
        self, feature: Float[Tensor, "b s h w"], mask: Bool[Tensor, "b 1 h w"], algorithm: Algorithm
    ) -> Float[Tensor, "b t h w"]:
        convolve = _winograd if "winograd" in algorithm else _direct
        if "kept" in algorithm:
            hidden = self._kept_hidden(feature, mask)
        else:
            hidden = F.relu(convolve(self.projector.first, self.align(feature) * mask))
        return self.projector.finish(hidden, convolve)

    def _kept_hidden(
        self, feature: Float[Tensor, "b s h w"], mask: Bool[Tensor, "b 1 h w"]
    ) -> Float[Tensor, "b t h w"]:
        kept = kept_positions(mask, self._hidden)
        rows = feature.movedim(1, -1).flatten(0, 2).index_select(0, kept.index)
        if isinstance(self.align, nn.Conv2d):
            rows = F.linear(rows, self.align.weight.flatten(1), self.align.bias)
        hidden = kept_conv3x3_relu(rows, kept, self.projector.first)
        # The later convolutions take the layout they would have had.
        return hidden.contiguous() if feature.is_contiguous() else hidden

    def _chosen(
        self, feature: Float[Tensor, "b s h w"], mask: Bool[Tensor, "b 1 h w"]
    ) -> Algorithm:
        if mask.numel() * self.projector.first.out_channels < SMALL:
            return "dense"
        if self.choose is None:
            return by_rule(mask.numel(), self._hidden, gpu=feature.is_cuda)
        return self.choose(self._case(feature), lambda: self._fastest(feature, mask))

    @property
    def _hidden(self) -> float:
        """The share of positions that the mask hides."""
        return 1 / 9 if self.config.mask == "centre" else self.config.mask_ratio

    def _case(self, feature: Float[Tensor, "b s h w"]) -> str:
        """All that which one is the fastest depends on."""
        images, channels, height, width = feature.shape
        device = feature.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        named = torch.cuda.get_device_name(feature.device) if feature.is_cuda else device
        return (
            f"{named}, {dtype or feature.dtype}, {images}x{channels}x{height}x{width} to "
            f"{self.projector.first.out_channels} channels, {self.config.projector} projector, "
            f"hidden {self._hidden:.3g}"
        )

    def _fastest(
        self, feature: Float[Tensor, "b s h w"], mask: Bool[Tensor, "b 1 h w"]
    ) -> Algorithm:
        sample = feature.detach().requires_grad_()
        rounds: list[list[float]] = []
        # On CPU, Winograd's transforms cost more than they save at every size tried.
        candidates = ALGORITHMS[1:] if feature.is_cuda else ALGORITHMS[1:3]
        started = time.perf_counter()
        while len(rounds) < ROUNDS and (not rounds or time.perf_counter() - started < PATIENCE):
            rounds.append([self._seconds(sample, mask, name) for name in candidates])
        best = torch.tensor(rounds, device=feature.device).amin(dim=0)
        if dist.is_initialized():
            dist.all_reduce(best)  # every rank takes the same
        return candidates[int(best.argmin())]

    def _seconds(
        self, sample: Tensor, mask: Bool[Tensor, "b 1 h w"], algorithm: Algorithm
    ) -> float:
        """Of one forward and backward pass that leaves no gradient anywhere."""
        started = _now(sample.device)
        rebuilt = self._rebuild(sample, mask, algorithm)
        torch.autograd.grad(rebuilt, (sample, *self.parameters()), torch.ones_like(rebuilt))
        return _now(sample.device) - started

    def get_extra_state(self) -> Tensor:
        return torch.tensor(ALGORITHMS.index(self.algorithm))

    def set_extra_state(self, state: Tensor) -> None:
        self.algorithm = ALGORITHMS[int(state)]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _direct(conv: nn.Conv2d, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
    return conv(x)


def _winograd(conv: nn.Conv2d, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
    assert conv.bias is not None  # for mypy
    return winograd_conv3x3(x, conv.weight, conv.bias)


class PlainProjector(nn.Sequential):
    def __init__(self, channels: int) -> None:
        super().__init__(_conv3x3(channels), nn.ReLU(), _conv3x3(channels))

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that sees the masked map; a ReLU follows."""
        return cast(nn.Conv2d, self[0])

    def finish(
        self, hidden: Float[Tensor, "b t h w"], convolve: Convolve = _direct
    ) -> Float[Tensor, "b t h w"]:
        """What follows `first` and its ReLU."""
        return convolve(cast(nn.Conv2d, self[2]), hidden)


class EnhancedProjector(nn.Module):
    """Mean of two readouts, after one and after two hidden layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden1, self.hidden2 = _conv3x3(channels), _conv3x3(channels)
        self.readout1, self.readout2 = _conv3x3(channels), _conv3x3(channels)

    @property
    def first(self) -> nn.Conv2d:
        return self.hidden1

    def finish(
        self, hidden: Float[Tensor, "b t h w"], convolve: Convolve = _direct
    ) -> Float[Tensor, "b t h w"]:
        h2 = F.relu(convolve(self.hidden2, hidden))
        return (convolve(self.readout1, hidden) + convolve(self.readout2, h2)) / 2

    def forward(self, x: Float[Tensor, "b t h w"]) -> Float[Tensor, "b t h w"]:
        return self.finish(F.relu(self.hidden1(x)))


def _conv3x3(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1)
