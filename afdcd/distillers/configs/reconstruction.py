"""The settings that mgd and afdcd share: hide pixels of the student's map, rebuild the teacher's.

Source: afdcd/losses/reconstruction.py; the modules are in afdcd/distillers/projector.py.
"""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from afdcd.distillers.configs.cost import Convolutions, Cost
from afdcd.distillers.configs.method import MethodConfig
from afdcd.distillers.configs.shapes import ENCODER, LOGITS, Needs, PairShapes

# Of the teacher's size, in maps that a projector keeps, and its convolutions.
MAPS, CONVOLUTIONS = {"plain": 4, "enhanced": 8}, {"plain": 2, "enhanced": 4}
SCRATCH = 2  # maps more while it computes


class ReconstructionConfig(MethodConfig):
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

    TASK_REMEDY: ClassVar[str] = "; set kd_weight to 0, the other terms are for any"

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

    @property
    def rebuilds(self) -> bool:
        """Whether any term looks at the rebuilt map."""
        return bool(self.fd_weight)

    @property
    def tasks(self) -> frozenset[str] | None:
        return frozenset({"segmentation"}) if self.kd_weight else None

    @property
    def needs(self) -> Needs:
        logits = Needs.of_both(LOGITS) if self.kd_weight else Needs()
        return logits | Needs.of_both(ENCODER) if self.rebuilds else logits

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        """Of the projector. Its first convolution is at the kept positions alone where they are few."""
        if not self.rebuilds:
            return Cost()
        (ours, theirs), places = pair.channels(ENCODER), math.prod(pair.grid(ENCODER, crop))
        hidden = 1 / 9 if self.mask == "centre" else self.mask_ratio
        first = 1 - hidden if hidden >= 0.5 else 1.0
        one = 3 * places * (9 * theirs + 1) * theirs / 1e9
        align = 3 * places * (ours + 1) * theirs / 1e9 if ours != theirs else 0.0
        others = Convolutions((CONVOLUTIONS[self.projector] - 1) * one, places, theirs)
        numbers = float((MAPS[self.projector] + SCRATCH) * theirs * places)
        return Cost(align + first * one, numbers=numbers, convolutions=(others,))

    def fd_unit(self, channels: int, height: int, width: int) -> int:
        """The summed FD that `fd_weight` counts as 1, for a teacher's map of this size."""
        return channels * height * width if self.weights == "portable" else 1
