"""A method with a prerequisite, after MasKD. Copied to afdcd/distillers/configs/tokens.py."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from afdcd.distillers.configs.method import MethodConfig, Prerequisite
from afdcd.distillers.configs.shapes import LOGITS, Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.tokens import Masked, Tokens


class TokensConfig(MethodConfig):
    """Stage 1: tokens that find in the teacher's logits what its labels need."""

    PREPARES: ClassVar[bool] = True
    method: Literal["tokens"] = "tokens"
    count: PositiveInt = 8

    @property
    def needs(self) -> Needs:
        return Needs(teacher=frozenset({LOGITS}))

    def build(self, pair: PairShapes) -> "Tokens":
        from afdcd.distillers.tokens import Tokens

        return Tokens(self, pair)


class MaskedConfig(MethodConfig):
    """Stage 2: the student's logits follow the teacher's where a token looks."""

    WHOLE: ClassVar[frozenset[str]] = frozenset({"tokens", "iterations"})
    method: Literal["masked"] = "masked"
    weight: NonNegativeFloat = 1.0
    tokens: PositiveInt = 8
    iterations: PositiveInt = 10_000
    lr: PositiveFloat = 0.1

    @property
    def tasks(self) -> frozenset[str] | None:
        return frozenset({"segmentation"})

    @property
    def needs(self) -> Needs:
        return Needs.of_both(LOGITS) if self.weight else Needs()

    @property
    def prerequisites(self) -> dict[str, Prerequisite]:
        if not self.weight:
            return {}
        recipe = {"iterations": self.iterations, "validate_every": self.iterations, "lr": self.lr}
        return {"tokens": Prerequisite(TokensConfig(count=self.tokens), {**recipe, "batch": 4})}

    def build(self, pair: PairShapes) -> "Masked":
        from afdcd.distillers.tokens import Masked

        return Masked(self, pair)
