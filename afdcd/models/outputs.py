"""What a segmentation network returns, and what is known of it without running it.

Axes: b images, k classes, c channels, h w rows and columns at the network's own stride.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Tap:
    """A named feature map that a distiller may ask for."""

    channels: int
    stride: int


@dataclass(frozen=True, slots=True)
class SegOutput:
    """One forward pass: logits at the network's own stride, and its named features.

    `encoder` is the last backbone stage ("c4"), `head` the map before the classifier.
    """

    logits: Float[Tensor, "b k h w"]
    aux: Float[Tensor, "b k h w"] | None
    features: dict[str, Float[Tensor, "b _ _ _"]]
