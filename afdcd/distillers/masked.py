"""What MGD and Af-DCD share: logits KD, and the student's map rebuilt from what a mask leaves."""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.configs.reconstruction import ReconstructionConfig
from afdcd.distillers.configs.shapes import ENCODER, PairShapes
from afdcd.distillers.context import StepContext
from afdcd.distillers.kd import logits_kd
from afdcd.distillers.projector import MaskedReconstruction
from afdcd.losses.grids import on_one_grid
from afdcd.losses.reconstruction import reconstruction_error
from afdcd.models.outputs import Output


class MaskedMethod(Distiller):
    """A subclass adds what else it makes of the two maps."""

    def __init__(self, config: ReconstructionConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config = config
        self.reconstruct = MaskedReconstruction(config, pair) if config.rebuilds else None

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        config = self.config
        terms = logits_kd(student, teacher, config.kd_weight, config.temperature)
        if self.reconstruct is None:
            return terms
        seen, target = on_one_grid(student.features[ENCODER], teacher.features[ENCODER])
        uniform = None
        if config.mask == "random":
            images, _, height, width = seen.shape
            uniform = step.uniform("mask", (images, 1, height, width), seen.device)
        rebuilt = self.reconstruct(seen, uniform)
        if config.fd_weight:
            error = reconstruction_error(rebuilt, target) / config.fd_unit(*target.shape[1:])
            terms["fd"] = config.fd_weight * error
        return terms | self.further_terms(rebuilt, target)

    def further_terms(
        self, rebuilt: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Of the rebuilt map and the teacher's."""
        return {}
