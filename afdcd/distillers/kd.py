"""Logits KD. Source: afdcd/losses/kd.py."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from afdcd.distillers.configs.kd import KDConfig
from afdcd.losses.kd import pixel_kl
from afdcd.models.outputs import SegOutput


class KD(nn.Module):
    needs_uniform = False

    def __init__(self, config: KDConfig) -> None:
        super().__init__()
        self.config = config
        self.needs_logits = bool(config.weight)

    def forward(
        self,
        student: SegOutput,
        teacher: SegOutput,
        labels: Int[Tensor, "b H W"],
        uniform: Float[Tensor, "b 1 h w"] | None,
    ) -> dict[str, Float[Tensor, ""]]:
        if not self.config.weight:
            return {}
        kl = pixel_kl(student.logits, teacher.logits, self.config.temperature)
        return {"kd": self.config.weight * kl}
