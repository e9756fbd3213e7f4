"""The settings of MGD's feature term (Yang et al. 2022, ECCV, sec. 3), beside logits KD."""

from typing import TYPE_CHECKING, Any, Literal

from afdcd.distillers.configs.reconstruction import ReconstructionConfig
from afdcd.distillers.configs.shapes import PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.mgd import MGD


class MGDConfig(ReconstructionConfig):
    method: Literal["mgd"] = "mgd"

    def identity(self) -> dict[str, Any]:
        """With the name that the method had first, so that a run of then is still the same run."""
        return {**self.plain(), "method": "fd"}

    def build(self, pair: PairShapes) -> "MGD":
        from afdcd.distillers.mgd import MGD

        return MGD(self, pair)
