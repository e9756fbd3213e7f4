"""No distillation. It has no settings."""

from typing import TYPE_CHECKING, ClassVar, Literal

from afdcd.distillers.configs.method import MethodConfig
from afdcd.distillers.configs.shapes import PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.none import NoDistiller


class NoneConfig(MethodConfig):
    DISTILS: ClassVar[bool] = False

    method: Literal["none"] = "none"

    def build(self, pair: PairShapes) -> "NoDistiller":
        from afdcd.distillers.none import NoDistiller

        return NoDistiller()
