"""No distillation: how a teacher, and the baseline of every comparison, is trained."""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.context import StepContext
from afdcd.models.outputs import Output


class NoDistiller(Distiller):
    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        return {}
