"""An encoder that timm lacks: two convolutions at stride 8. Copied to afdcd/models/patches.py."""

from jaxtyping import Float
from torch import Tensor, nn

from afdcd.models.outputs import Encoder
from afdcd.models.taps import Tap


class Patches(Encoder):
    """Patches of 8x8 pixels, and what lies beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.taps = [Tap(16, 8), Tap(32, 8)]
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 9, 8, 4, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.last = nn.Sequential(
            nn.Conv2d(16, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()
        )

    def forward(
        self, images: Float[Tensor, "b 3 H W"]
    ) -> tuple[Float[Tensor, "b c3 h w"], Float[Tensor, "b c4 h w"]]:
        c3 = self.stem(images)
        return c3, self.last(c3)
