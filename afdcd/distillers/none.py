"""No distillation: how a teacher, and the baseline of every comparison, is trained."""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.context import StepContext
from afdcd.models.outputs import SegOutput


class NoDistiller(Distiller):
    def forward(
        self, student: SegOutput, teacher: SegOutput, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        return {}
