"""No distillation: how a teacher, and the baseline of every comparison, is trained."""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from afdcd.config import FrozenConfig
from afdcd.distillers.base import PairShapes
from afdcd.models.outputs import SegOutput


class NoneConfig(FrozenConfig):
    method: Literal["none"] = "none"

    def check(self, pair: PairShapes, feature_hw: tuple[int, int]) -> None:
        """Every pair of networks suits."""

    def notes(self, pair: PairShapes, feature_hw: tuple[int, int]) -> list[str]:
        """Every pixel is used."""
        return []

    def build(self, pair: PairShapes) -> "NoDistiller":
        return NoDistiller()


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
