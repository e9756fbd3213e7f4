"""The settings of logits KD."""

from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat, PositiveFloat

from afdcd.config import FrozenConfig
from afdcd.distillers.configs.shapes import PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.kd import KD


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
        from afdcd.distillers.kd import KD

        return KD(self)
