"""Masked feature distillation (MGD): logits KD and the reconstruction error of the last stage."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from afdcd.distillers.base import TAP
from afdcd.distillers.configs.fd import FDConfig
from afdcd.distillers.configs.shapes import PairShapes
from afdcd.distillers.projector import MaskedReconstruction
from afdcd.losses.kd import pixel_kl
from afdcd.losses.reconstruction import reconstruction_error
from afdcd.models.outputs import SegOutput


class FD(nn.Module):
    def __init__(self, config: FDConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config = config
        self.reconstruct = MaskedReconstruction(config, pair) if config.fd_weight else None
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
        if self.reconstruct is not None:
            rebuilt = self.reconstruct(student.features[TAP], uniform)
            target = teacher.features[TAP]
            error = reconstruction_error(rebuilt, target) / config.fd_unit(*target.shape[1:])
            terms["fd"] = config.fd_weight * error
        return terms
