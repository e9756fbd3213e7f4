"""The part that fd and afdcd share: hide pixels of the student's map, rebuild the teacher's.

Source: afdcd/losses/reconstruction.py; modules as in OSVAI/Af-DCD@5b086a7 `losses/ocmgd.py`.
"""

from typing import Annotated, Any, ClassVar, Literal

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator
from torch import Tensor, nn

from afdcd.config import FrozenConfig
from afdcd.distillers.base import PairShapes
from afdcd.losses.reconstruction import centre_mask, keep_mask


class ReconstructionConfig(FrozenConfig):
    """Defaults are those of OSVAI/Af-DCD@5b086a7 run without flags; its scripts' are presets.

    Attributes:
        weights: what the weights multiply. "official": FD summed over channels and pixels (hence
            weights near 1e-6). "portable": its mean over them, so that a weight keeps its meaning
            at another crop or width; unset weights are then `PORTABLE`. See docs/methods.md.
        temperature: of logits KD.
        mask_ratio: share of pixels hidden by the random mask; the centre mask hides a ninth.
        projector: "plain" two 3x3 convolutions, "enhanced" four; 75.5 M and 151 M parameters for a
            teacher of 2048 channels.
    """

    # Published for Cityscapes: 2e-6 of a sum over 2048 channels on 64x128 pixels.
    PORTABLE: ClassVar[dict[str, float]] = {"fd_weight": 2e-6 * 2048 * 64 * 128}

    weights: Literal["official", "portable"] = "official"
    kd_weight: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 1.0
    fd_weight: NonNegativeFloat = 4e-5
    mask: Literal["random", "centre"] = "random"
    mask_ratio: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.75
    projector: Literal["plain", "enhanced"] = "plain"

    @model_validator(mode="before")
    @classmethod
    def _portable_defaults(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("weights") == "portable":
            return {**cls.PORTABLE, **values}
        return values

    def fd_unit(self, channels: int, height: int, width: int) -> int:
        """The summed FD that `fd_weight` counts as 1, for a teacher's map of this size."""
        return channels * height * width if self.weights == "portable" else 1


class MaskedReconstruction(nn.Module):
    """Align to the teacher's channels, mask, project."""

    def __init__(self, config: ReconstructionConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config = config
        inputs, channels = pair.student_channels, pair.teacher_channels
        self.align = nn.Identity() if inputs == channels else nn.Conv2d(inputs, channels, 1)
        projector = PlainProjector if config.projector == "plain" else EnhancedProjector
        self.projector = projector(channels)

    def forward(
        self, feature: Float[Tensor, "b s h w"], uniform: Float[Tensor, "b 1 h w"] | None
    ) -> Float[Tensor, "b t h w"]:
        if self.config.mask == "centre":
            mask = centre_mask(feature.shape[2], feature.shape[3], feature.device)
        elif uniform is None:
            raise ValueError("mask 'random' needs uniform draws; the caller passes uniform")
        else:
            mask = keep_mask(uniform, self.config.mask_ratio)
        return self.projector(self.align(feature) * mask)


class PlainProjector(nn.Sequential):
    def __init__(self, channels: int) -> None:
        super().__init__(_conv3x3(channels), nn.ReLU(), _conv3x3(channels))


class EnhancedProjector(nn.Module):
    """Mean of two readouts, after one and after two hidden layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden1, self.hidden2 = _conv3x3(channels), _conv3x3(channels)
        self.readout1, self.readout2 = _conv3x3(channels), _conv3x3(channels)

    def forward(self, x: Float[Tensor, "b t h w"]) -> Float[Tensor, "b t h w"]:
        h1 = F.relu(self.hidden1(x))
        h2 = F.relu(self.hidden2(h1))
        return (self.readout1(h1) + self.readout2(h2)) / 2


def _conv3x3(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1)
