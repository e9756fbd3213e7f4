"""Af-DCD: logits KD, masked reconstruction, and contrast of what was rebuilt with the teacher.

Source: Fan et al. 2023, NeurIPS, sec. 3; OSVAI/Af-DCD@5b086a7 `losses/ocmgd.py`, whose numbers
tests/distillers/test_afdcd.py holds this to.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn

from afdcd.distillers.base import TAP
from afdcd.distillers.configs.afdcd import AfDCDConfig
from afdcd.distillers.configs.shapes import PairShapes
from afdcd.distillers.projector import MaskedReconstruction
from afdcd.losses.contrast import omni_contrast, shrink
from afdcd.losses.kd import pixel_kl
from afdcd.losses.reconstruction import reconstruction_error
from afdcd.models.outputs import SegOutput


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
            error = reconstruction_error(rebuilt, target) / config.fd_unit(*target.shape[1:])
            terms["fd"] = config.fd_weight * error
        if config.contrast_weight:
            terms["contrast"] = config.contrast_weight * self._contrast(rebuilt, target)
        return terms

    def _contrast(
        self, rebuilt: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, ""]:
        config, patch = self.config, self.config.patch_of(*target.shape[2:])
        portable = config.weights == "portable"
        units = config.contrast_units(*target.shape[1:]) if portable else (1, 1)
        value = omni_contrast(
            shrink(rebuilt, config.pool, patch),
            shrink(target, config.pool, patch),
            groups=config.effective_groups,
            patch=patch,
            temperature=config.tau * units[0],
            negatives=config.effective_negatives,
        )
        return value / units[1]
