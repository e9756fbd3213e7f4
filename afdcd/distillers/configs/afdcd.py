"""The settings of Af-DCD, and which feature maps they fit."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from afdcd.config import Key
from afdcd.distillers.configs.afdcd_presets import PRESETS, PresetName
from afdcd.distillers.configs.cost import NUMBER, Cost
from afdcd.distillers.configs.presets import Preset
from afdcd.distillers.configs.reconstruction import ReconstructionConfig
from afdcd.distillers.configs.shapes import ENCODER, PairShapes
from afdcd.losses.patches import Negatives, check_groups, shrunken

if TYPE_CHECKING:
    from afdcd.distillers.afdcd import AfDCD


class AfDCDConfig(ReconstructionConfig):
    """Defaults are those of OSVAI/Af-DCD@5b086a7 run without flags.

    Attributes:
        preset: published settings (`afdcd_presets.py`) for all keys that are not given.
            Gone once they are filled in, so that it is no part of what a run is.
        weights: as in `ReconstructionConfig`; "portable" also makes the contrast a mean over tokens
            in which 1 is chance, and `tau` a mean over channels (`contrast_units`).
        tau: temperature of the contrast; official: in units of an L1 distance of tokens.
        groups: channel groups M; must divide the teacher's channels. One group has no negatives
            among "other_groups": the term is then 0.
        patch: side or (height, width) in pixels of the pooled map; "none" compares all of its
            pixels with each other, which grows with the square of the crop's area.
        pool: max-pooling before the contrast; 0: none, as the authors do on CamVid.
        negatives: "other_groups" as in the authors' code, "all_others" as in the paper's figure.
        design: "omni" as set; "spatial" contrasts whole pixels (groups 1, all_others), "channel"
            the groups of one pixel (patch 1x1), whatever those keys say.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = PRESETS
    # The least round temperature at which values keep within 10 % over crops, groups and widths,
    # and contrast_weight / tau as published for Cityscapes (2048 channels): the size of gradients.
    PORTABLE: ClassVar[dict[str, float]] = {
        **ReconstructionConfig.PORTABLE,
        "tau": 1.5,
        "contrast_weight": 5e-3 / 0.07 * 2048 * 1.5,
    }

    method: Literal["afdcd"] = "afdcd"
    preset: PresetName | None = Field(default=None, exclude=True)
    contrast_weight: NonNegativeFloat = 1e-3
    tau: PositiveFloat = 0.07
    groups: PositiveInt = 16
    patch: PositiveInt | tuple[PositiveInt, PositiveInt] | Literal["none"] = 4
    pool: NonNegativeInt = 4
    negatives: Negatives = "other_groups"
    design: Literal["omni", "spatial", "channel"] = "omni"

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if isinstance(patch := values.get("patch"), list):
            # What passed through a validator counts as Python, where no list is a tuple.
            values = {**values, "patch": tuple(patch)}
        if values.get("preset") in list(PRESETS) and values.get("weights") == "portable":
            raise ValueError(
                f"preset {values['preset']!r} gives official weights; remove weights: portable, or "
                "write the numbers that afdcd.distillers.portable.portable() converts it to"
            )
        return values

    @property
    def rebuilds(self) -> bool:
        return bool(self.fd_weight or self.contrast_weight)

    @property
    def effective_groups(self) -> int:
        return 1 if self.design == "spatial" else self.groups

    @property
    def effective_negatives(self) -> Negatives:
        return "all_others" if self.design == "spatial" else self.negatives

    def patch_of(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of a patch on the pooled map of `height` x `width` features."""
        if self.design == "channel":
            return 1, 1
        if self.patch == "none":
            return height // max(1, self.pool), width // max(1, self.pool)
        return self.patch if isinstance(self.patch, tuple) else (self.patch, self.patch)

    def check(self, pair: PairShapes, crop: tuple[int, int]) -> None:
        """Whether the contrast fits.

        Raises:
            ValueError: groups does not divide the channels, or no patch fits the pooled map.
        """
        if self.contrast_weight:
            check_groups(pair.channels(ENCODER)[1], self.effective_groups)
            feature_hw = pair.grid(ENCODER, crop)
            shrunken(*feature_hw, self.pool, self.patch_of(*feature_hw))

    def notes(self, pair: PairShapes, crop: tuple[int, int]) -> list[str]:
        """Pixels that the contrast ignores."""
        if not self.contrast_weight:
            return []
        feature_hw = pair.grid(ENCODER, crop)
        pool, patch = max(1, self.pool), self.patch_of(*feature_hw)
        height, width = (pool * side for side in shrunken(*feature_hw, pool, patch))
        unused = 1 - height * width / (feature_hw[0] * feature_hw[1])
        if not unused:
            return []
        sides = "x".join(str(pair.stride(ENCODER) * pool * side) for side in patch)
        return [
            f"contrast: pool {self.pool} and patch {patch[0]}x{patch[1]} use {height}x{width} of the "
            f"{feature_hw[0]}x{feature_hw[1]} feature map ({100 * unused:.1f} % of it unused); "
            f"crops of multiples of {sides} pixels lose nothing"
        ]

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        """Beside the projector's, that of the contrast: both pooled maps and the gradient, in fp32."""
        found = super().cost(pair, crop)
        if not self.contrast_weight:
            return found
        (_, channels), (height, width) = pair.channels(ENCODER), pair.grid(ENCODER, crop)
        pool = max(1, self.pool)
        tokens = self.effective_groups * math.prod(self.patch_of(height, width))
        differences = 2.0 * (height // pool) * (width // pool) * tokens * channels
        return found + Cost(
            kept=3 * NUMBER * channels * height * width / pool**2, differences=differences
        )

    @property
    def silent(self) -> dict[Key, str]:
        alone = self.effective_groups == 1 and self.effective_negatives == "other_groups"
        if not (self.contrast_weight and alone):
            return super().silent
        return {
            (
                "groups",
            ): "one group has no other groups to be told from, so the contrast is always 0; "
            "raise groups, or negatives: all_others"
        }

    def contrast_units(self, channels: int, height: int, width: int) -> tuple[float, float]:
        """What portable weights count as 1 on a map: official temperature, and official value.

        With N negatives per token, the portable value is the mean over tokens of the official one
        with all exponentials in base 1 + N and distances as means over a token's channels: 1 is
        chance, and about 0 is reached when the negatives are `tau` farther than the positive.
        """
        groups, pixels = self.effective_groups, math.prod(self.patch_of(height, width))
        others = self.effective_negatives == "other_groups"
        negatives = pixels * (groups - 1) if others else pixels * groups - 1
        chance = math.log1p(negatives) or 1.0  # without negatives the term is 0 in any unit
        return channels / groups / chance, groups * chance

    def build(self, pair: PairShapes) -> "AfDCD":
        from afdcd.distillers.afdcd import AfDCD

        return AfDCD(self, pair)
