"""No distillation. It has no settings."""

from typing import TYPE_CHECKING, Literal

from afdcd.config import FrozenConfig
from afdcd.distillers.configs.shapes import PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.none import NoDistiller


class NoneConfig(FrozenConfig):
    method: Literal["none"] = "none"

    def check(self, pair: PairShapes, feature_hw: tuple[int, int]) -> None:
        """Every pair of networks suits."""

    def notes(self, pair: PairShapes, feature_hw: tuple[int, int]) -> list[str]:
        """Every pixel is used."""
        return []

    def build(self, pair: PairShapes) -> "NoDistiller":
        from afdcd.distillers.none import NoDistiller

        return NoDistiller()
