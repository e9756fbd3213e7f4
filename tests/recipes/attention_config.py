"""The settings of attention transfer. Copied to afdcd/distillers/configs/attention.py."""

from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat

from afdcd.distillers.configs.method import MethodConfig
from afdcd.distillers.configs.shapes import ENCODER, Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.attention import Attention


class AttentionConfig(MethodConfig):
    """Published weight: 1000 (szagoruyko/attention-transfer@893df59 `imagenet.py`)."""

    method: Literal["attention"] = "attention"
    weight: NonNegativeFloat = 1000.0

    @property
    def needs(self) -> Needs:
        return Needs.of_both(ENCODER) if self.weight else Needs()

    def build(self, pair: PairShapes) -> "Attention":
        from afdcd.distillers.attention import Attention

        return Attention(self)
