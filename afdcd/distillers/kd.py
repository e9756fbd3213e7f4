"""Logits KD. Source: afdcd/losses/kd.py."""

from typing import Literal

from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from afdcd.config import FrozenConfig
from afdcd.distillers.base import PairShapes
from afdcd.losses.kd import pixel_kl
from afdcd.models.outputs import SegOutput


class KDConfig(FrozenConfig):
    """Published weights: 1, and 0.5 on ADE20K and COCO-Stuff; temperature always 1."""

    method: Literal["kd"] = "kd"
    weight: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 1.0

    def check(self, pair: PairShapes, feature_hw: tuple[int, int]) -> None:
        """Every pair of networks suits."""

    def notes(self, pair: PairShapes, feature_hw: tuple[int, int]) -> list[str]:
        """Every pixel is used."""
        return []

    def build(self, pair: PairShapes) -> "KD":
        return KD(self)


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
