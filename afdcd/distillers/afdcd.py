"""Af-DCD: logits KD, masked reconstruction, and contrast of what was rebuilt with the teacher.

Source: Fan et al. 2023, NeurIPS, sec. 3; OSVAI/Af-DCD@5b086a7 `losses/ocmgd.py`, whose numbers
tests/distillers/test_afdcd.py holds this to.
"""

from typing import Literal

from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from afdcd.distillers.base import TAP, PairShapes
from afdcd.distillers.projector import MaskedReconstruction
from afdcd.distillers.reconstruction import ReconstructionConfig
from afdcd.losses.contrast import Negatives, check_groups, omni_contrast, shrink, shrunken
from afdcd.losses.kd import pixel_kl
from afdcd.losses.reconstruction import reconstruction_error
from afdcd.models.outputs import SegOutput


class AfDCDConfig(ReconstructionConfig):
    """Defaults are those of OSVAI/Af-DCD@5b086a7 run without flags; its scripts' weights are in
    `ReconstructionConfig`.

    Attributes:
        tau: temperature of the contrast.
        groups: channel groups M; must divide the teacher's channels. One group has no negatives
            among "other_groups": the term is then 0.
        patch: side or (height, width) in pixels of the pooled map.
        pool: max-pooling before the contrast; 0: none, as the authors do on CamVid.
        negatives: "other_groups" as in the authors' code, "all_others" as in the paper's figure.
        design: "omni" as set; "spatial" contrasts whole pixels (groups 1, all_others), "channel"
            the groups of one pixel (patch 1x1), whatever those keys say.
    """

    method: Literal["afdcd"] = "afdcd"
    contrast_weight: NonNegativeFloat = 1e-3
    tau: PositiveFloat = 0.07
    groups: PositiveInt = 16
    patch: PositiveInt | tuple[PositiveInt, PositiveInt] = 4
    pool: NonNegativeInt = 4
    negatives: Negatives = "other_groups"
    design: Literal["omni", "spatial", "channel"] = "omni"

    @property
    def effective_groups(self) -> int:
        return 1 if self.design == "spatial" else self.groups

    @property
    def effective_negatives(self) -> Negatives:
        return "all_others" if self.design == "spatial" else self.negatives

    @property
    def effective_patch(self) -> tuple[int, int]:
        if self.design == "channel":
            return 1, 1
        return self.patch if isinstance(self.patch, tuple) else (self.patch, self.patch)

    def check(self, pair: PairShapes, feature_hw: tuple[int, int]) -> None:
        """Whether the contrast fits `pair` on features of `feature_hw` (height, width).

        Raises:
            ValueError: groups does not divide the channels, or no patch fits the pooled map.
        """
        if self.contrast_weight:
            check_groups(pair.teacher_channels, self.effective_groups)
            shrunken(*feature_hw, self.pool, self.effective_patch)

    def build(self, pair: PairShapes) -> "AfDCD":
        return AfDCD(self, pair)


class AfDCD(nn.Module):
    def __init__(self, config: AfDCDConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config = config
        rebuilds = config.fd_weight or config.contrast_weight
        self.reconstruct = MaskedReconstruction(config, pair) if rebuilds else None
        self.needs_uniform = self.reconstruct is not None and config.mask == "random"
        self.needs_logits = bool(config.kd_weight)

    def forward(
        self,
        student: SegOutput,
        teacher: SegOutput,
        labels: Int[Tensor, "b H W"],
        uniform: Float[Tensor, "b 1 h w"] | None,
    ) -> dict[str, Float[Tensor, ""]]:
        config, terms = self.config, {}
        if config.kd_weight:
            kl = pixel_kl(student.logits, teacher.logits, config.temperature)
            terms["kd"] = config.kd_weight * kl
        if self.reconstruct is None:
            return terms
        rebuilt, target = self.reconstruct(student.features[TAP], uniform), teacher.features[TAP]
        if config.fd_weight:
            terms["fd"] = config.fd_weight * reconstruction_error(rebuilt, target)
        if config.contrast_weight:
            terms["contrast"] = config.contrast_weight * self._contrast(rebuilt, target)
        return terms

    def _contrast(
        self, rebuilt: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, ""]:
        pool, patch = self.config.pool, self.config.effective_patch
        return omni_contrast(
            shrink(rebuilt, pool, patch),
            shrink(target, pool, patch),
            groups=self.config.effective_groups,
            patch=patch,
            temperature=self.config.tau,
            negatives=self.config.effective_negatives,
        )
