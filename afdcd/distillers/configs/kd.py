"""The settings of logits KD."""

from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat, PositiveFloat

from afdcd.distillers.configs.method import MethodConfig
from afdcd.distillers.configs.shapes import LOGITS, Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.kd import KD


class KDConfig(MethodConfig):
    """Published weights: 1, and 0.5 on ADE20K and COCO-Stuff; temperature always 1."""

    method: Literal["kd"] = "kd"
    weight: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 1.0

    @property
    def tasks(self) -> frozenset[str] | None:
        return frozenset({"segmentation"})  # a softmax over classes

    @property
    def needs(self) -> Needs:
        return Needs.of_both(LOGITS) if self.weight else Needs()

    def build(self, pair: PairShapes) -> "KD":
        from afdcd.distillers.kd import KD

        return KD(self)
