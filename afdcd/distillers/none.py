"""No distillation: how a teacher, and the baseline of every comparison, is trained."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from afdcd.models.outputs import SegOutput


class NoDistiller(nn.Module):
    needs_uniform = False
    needs_logits = False

    def forward(
        self,
        student: SegOutput,
        teacher: SegOutput,
        labels: Int[Tensor, "b H W"],
        uniform: Float[Tensor, "b 1 h w"] | None,
    ) -> dict[str, Float[Tensor, ""]]:
        return {}
