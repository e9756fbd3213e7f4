"""The part that fd and afdcd share: hide pixels of the student's map, rebuild the teacher's.

Source: afdcd/losses/reconstruction.py; modules as in OSVAI/Af-DCD@5b086a7 `losses/ocmgd.py`.
"""

from typing import Annotated, Literal

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from afdcd.config import FrozenConfig
from afdcd.distillers.base import PairShapes
from afdcd.losses.reconstruction import centre_mask, keep_mask


class ReconstructionConfig(FrozenConfig):
    """Defaults are those of OSVAI/Af-DCD@5b086a7 run without flags.

    Its scripts give (kd, fd, contrast): Cityscapes 1, 2e-6, 5e-3; CamVid 1, 8e-6, 1e-2 (pool 0);
    VOC 1, 1e-6, 5e-3; ADE20K 0.5, 1e-6, 4e-2; COCO-Stuff 0.5, 5e-6, 5e-3.

    Attributes:
        temperature: of logits KD.
        fd_weight: of a sum over channels and pixels, hence small.
        mask_ratio: share of pixels hidden by the random mask; the centre mask hides a ninth.
        projector: "plain" two 3x3 convolutions, "enhanced" four; 75.5 M and 151 M parameters for a
            teacher of 2048 channels.
    """

    kd_weight: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 1.0
    fd_weight: NonNegativeFloat = 4e-5
    mask: Literal["random", "centre"] = "random"
    mask_ratio: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.75
    projector: Literal["plain", "enhanced"] = "plain"


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
