"""Logits KD. Source: afdcd/losses/kd.py."""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.configs.kd import KDConfig
from afdcd.distillers.context import StepContext
from afdcd.losses.grids import on_one_grid
from afdcd.losses.kd import pixel_kl
from afdcd.models.outputs import Output


class KD(Distiller):
    def __init__(self, config: KDConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        return logits_kd(student, teacher, self.config.weight, self.config.temperature)


def logits_kd(
    student: Output, teacher: Output, weight: float, temperature: float
) -> dict[str, Float[Tensor, ""]]:
    """The term that many methods have beside their own; none at weight 0."""
    if not weight:
        return {}
    logits = on_one_grid(student.logits, teacher.logits)
    return {"kd": weight * pixel_kl(*logits, temperature)}
