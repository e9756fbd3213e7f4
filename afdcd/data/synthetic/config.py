"""How many street scenes are rendered, and how large."""

from pydantic import Field, NonNegativeInt, PositiveInt

from afdcd.config import FrozenConfig


class SyntheticConfig(FrozenConfig):
    """How much is rendered; sizes in pixels, counts in images."""

    seed: NonNegativeInt = 0
    height: PositiveInt = Field(default=144, ge=64, le=4096)
    width: PositiveInt = Field(default=192, ge=64, le=4096)
    train: PositiveInt = 240
    val: PositiveInt = 60
    test: PositiveInt = 60
