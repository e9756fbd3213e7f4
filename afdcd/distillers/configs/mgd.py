"""The settings of masked feature distillation (MGD's feature term)."""

from typing import TYPE_CHECKING, Literal

from afdcd.distillers.configs.reconstruction import ReconstructionConfig
from afdcd.distillers.configs.shapes import PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.fd import FD


class FDConfig(ReconstructionConfig):
    method: Literal["fd"] = "fd"

    def check(self, pair: PairShapes, feature_hw: tuple[int, int]) -> None:
        """Every pair of networks suits."""

    def notes(self, pair: PairShapes, feature_hw: tuple[int, int]) -> list[str]:
        """Every pixel is used."""
        return []

    def build(self, pair: PairShapes) -> "FD":
        from afdcd.distillers.fd import FD

        return FD(self, pair)
