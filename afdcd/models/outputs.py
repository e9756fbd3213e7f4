"""What a segmentation network and its backbone return.

Axes: b images, k classes, c channels, h w rows and columns at the network's own stride.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from afdcd.models.taps import Tap


class Encoder(nn.Module):
    """A backbone: a call returns its stages [b c h w], the finest first.

    Attributes:
        taps: of these stages, known without a call.
    """

    taps: list[Tap]


@dataclass(frozen=True, slots=True)
class Output:
    """One forward pass: logits at the network's own stride, and its named features.

    `align_corners` is the rule by which this network's logits are resized.

    `encoder` is the last backbone stage ("c4"), `head` the map before the classifier. `aux` are the
    auxiliary head's logits.

    Where less was asked for (`FrozenTeacher`), features are missing and the logits have no channels.
    """

    logits: Float[Tensor, "b k h w"]
    aux: Float[Tensor, "b k h w"] | None
    features: dict[str, Float[Tensor, "b _ _ _"]]
    align_corners: bool = True

    def detached(self) -> "Output":
        """The same maps, through which no gradient flows back."""
        aux = None if self.aux is None else self.aux.detach()
        features = {name: feature.detach() for name, feature in self.features.items()}
        return Output(self.logits.detach(), aux, features, self.align_corners)
