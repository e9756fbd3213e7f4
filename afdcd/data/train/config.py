"""What a network is shown, as a search space says it. Nothing here imports torch."""

import re
from typing import Literal, get_args

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from afdcd.config import FrozenConfig, Switch
from afdcd.data.catalog.datasets import DATASETS, prepare_command
from afdcd.data.catalog.splits import Protocol
from afdcd.paths import Location

Normalisation = Literal["imagenet", "caffe"]
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"  # of a data set: part of the names of models and files
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)


class Jitter(FrozenConfig):
    """Strengths; 0 leaves alone.

    Attributes:
        brightness, contrast, saturation: a factor is drawn from 1 - strength (0 at least) to
            1 + strength.
        hue: a turn is drawn from -hue to hue; 0.5 is half the circle.
    """

    brightness: NonNegativeFloat = 0.0
    contrast: NonNegativeFloat = 0.0
    saturation: NonNegativeFloat = 0.0
    hue: float = Field(default=0.0, ge=0, le=0.5)


class DataConfig(FrozenConfig):
    """What a network is shown: which rows of which data set, and how they are augmented.

    Attributes:
        dataset: its name in the catalog, or the one that `prepare custom` gave it.
        root: path or URI of the prepared data set; None renders the synthetic one.
        crop: (height, width) in pixels.
        scale: smallest and largest factor; drawn in steps of `scale_step`.
        jitter: strengths of photometric jitter; off by default.
        loader_workers: processes that decode; 0 decodes in the training process.
    """

    dataset: str
    root: Location | None = None
    protocol: Protocol = "dev"
    crop: tuple[int, int]
    scale: tuple[PositiveFloat, PositiveFloat] = (0.5, 2.0)
    scale_step: PositiveFloat = 0.1
    flip: Switch = True
    normalisation: Normalisation = "imagenet"
    jitter: Jitter = Jitter()
    loader_workers: NonNegativeInt = 0

    @property
    def location(self) -> str:
        """`root`, which is known once the data are prepared."""
        if self.root is None:
            raise ValueError("the data set is not prepared yet: data.root is None")
        return self.root

    @model_validator(mode="after")
    def _consistent(self) -> "DataConfig":
        if not re.fullmatch(NAME, self.dataset):
            raise ValueError(f"data set {self.dataset!r}: letters, digits, `_`, `-`, `.` only")
        known = DATASETS.get(self.dataset)
        if self.root is None and not (known and known.rendered):
            raise ValueError(
                f"data set {self.dataset!r} needs `root`, the folder or URI that "
                f"`{prepare_command(self.dataset, 'ROOT')}` wrote"
            )
        if min(self.crop) < 32:
            raise ValueError(
                f"crop {list(self.crop)} is too small; both sides must be >= 32 pixels"
            )
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale {list(self.scale)} must be [smallest, largest]")
        return self
