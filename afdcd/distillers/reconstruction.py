"""The settings that fd and afdcd share: hide pixels of the student's map, rebuild the teacher's.

Source: afdcd/losses/reconstruction.py; the modules are in afdcd/distillers/projector.py.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from afdcd.config import FrozenConfig


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
