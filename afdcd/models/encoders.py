"""Backbones: dilated to output stride 8, giving their stages "c3" and "c4"; or strided, giving all.

Sources: Yu & Koltun 2017, arXiv:1705.09914 (dilated ResNet); Sandler et al. 2018, arXiv:1801.04381
(MobileNetV2); layer by layer as in winycg/CIRKD@2d8ad0f and OSVAI/Af-DCD@5b086a7.
"""

import difflib
import math
from collections.abc import Callable
from typing import Any

import timm
from jaxtyping import Float
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from afdcd.config import UserError
from afdcd.models.config import OUTPUT_STRIDE, PAPER_ENCODERS, TIMM_PREFIX
from afdcd.models.outputs import Encoder
from afdcd.models.taps import Tap

FINEST = 4  # stride from which a pyramid's stages are of use


def check_encoder(name: str) -> None:
    """Raises ValueError with the right names when `name` is no encoder."""
    if name in PAPER_ENCODERS:
        return
    bare = name.removeprefix(TIMM_PREFIX)
    if name.startswith(TIMM_PREFIX) and timm.is_model(bare):
        return
    near = difflib.get_close_matches(bare, timm.list_models(), n=3)
    hint = f"; nearest: {', '.join(TIMM_PREFIX + match for match in near)}" if near else ""
    raise ValueError(
        f"unknown encoder {name!r}; use one of {', '.join(PAPER_ENCODERS)}, "
        f"or {TIMM_PREFIX}<name> with a name from timm{hint}"
    )


def build_encoder(name: str, *, pyramid: bool = False) -> Encoder:
    """The encoder with random weights.

    Args:
        pyramid: every stage of a timm encoder at its own stride, instead of the last two at 8.

    Raises:
        UserError: no such encoder, or a timm network that cannot be dilated to output stride 8.
    """
    try:
        check_encoder(name)
    except ValueError as error:
        raise UserError(str(error)) from None
    if name in PAPER_ENCODERS:
        return OWN[name]()
    return (TimmPyramid if pyramid else TimmEncoder)(name.removeprefix(TIMM_PREFIX))


class DilatedResNet(ResNet):
    """ResNet "v1s": a stem of three 3x3 convolutions, stages 3 and 4 dilated 2 and 4."""

    def __init__(self, block: Any, blocks: tuple[int, int, int, int]) -> None:
        super().__init__(
            block,
            blocks,
            num_classes=0,
            stem_width=64,
            stem_type="deep",
            output_stride=OUTPUT_STRIDE,
            zero_init_last=False,
        )
        self.taps = _dilated(256 * block.expansion, 512 * block.expansion)

    def forward(
        self, images: Float[Tensor, "b 3 H W"]
    ) -> tuple[Float[Tensor, "b c3 h w"], Float[Tensor, "b c4 h w"]]:
        stem = self.maxpool(self.act1(self.bn1(self.conv1(images))))
        c3 = self.layer3(self.layer2(self.layer1(stem)))
        return c3, self.layer4(c3)


# expansion, channels, blocks, stride before dilation replaces it; arXiv:1801.04381 table 2
MOBILENETV2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(Encoder):
    """Width 1.0 without the 1280-channel last convolution; c4 is linear and may be negative."""

    C3_BLOCK = 13

    def __init__(self) -> None:
        super().__init__()
        self.taps = _dilated(96, 320)
        blocks: list[nn.Module] = [nn.Sequential(*_conv_bn(3, 32, 3, stride=2), nn.ReLU6(True))]
        width, reached, dilation = 32, 2, 1
        for expansion, channels, repeats, stride in MOBILENETV2_STAGES:
            step = stride if reached * stride <= OUTPUT_STRIDE else 1
            reached *= step
            blocks.append(InvertedResidual(width, channels, expansion, step, dilation))
            # The block that would have strided still sees the old grid, the later ones do not.
            dilation *= stride // step
            blocks += [
                InvertedResidual(channels, channels, expansion, 1, dilation)
                for _ in range(repeats - 1)
            ]
            width = channels
        self.features = nn.Sequential(*blocks)
        self._init_weights()

    def forward(
        self, images: Float[Tensor, "b 3 H W"]
    ) -> tuple[Float[Tensor, "b c3 h w"], Float[Tensor, "b c4 h w"]]:
        c3 = self.features[: self.C3_BLOCK + 1](images)
        return c3, self.features[self.C3_BLOCK + 1 :](c3)

    def _init_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))


class InvertedResidual(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, expansion: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        expand = [*_conv_bn(inputs, hidden, 1), nn.ReLU6(True)] if expansion != 1 else []
        depthwise = _conv_bn(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden)
        self.conv = nn.Sequential(
            *expand, *depthwise, nn.ReLU6(True), *_conv_bn(hidden, outputs, 1)
        )
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b _ _ _"]:
        return x + self.conv(x) if self.has_skip else self.conv(x)


def _conv_bn(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class TimmEncoder(Encoder):
    """Any timm network whose feature extractor accepts `output_stride=8`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            self.net = timm.create_model(
                name, features_only=True, output_stride=OUTPUT_STRIDE, out_indices=(-2, -1)
            )
            reductions = self.net.feature_info.reduction()
        except (TypeError, AssertionError, RuntimeError, NotImplementedError, ValueError):
            reductions = []
        if reductions != [OUTPUT_STRIDE, OUTPUT_STRIDE]:
            raise UserError(
                f"encoder timm:{name} cannot give features at output stride {OUTPUT_STRIDE}; "
                "choose a convolutional one, e.g. timm:resnet10t, timm:mobilenetv3_small_050, or head: "
                "mlp, which reads encoders with strides"
            )
        self.taps = _dilated(*self.net.feature_info.channels())

    def forward(
        self, images: Float[Tensor, "b 3 H W"]
    ) -> tuple[Float[Tensor, "b c3 h w"], Float[Tensor, "b c4 h w"]]:
        c3, c4 = self.net(images)
        return c3, c4


class TimmPyramid(Encoder):
    """The stages of a timm network from stride 4 on, e.g. four at 4, 8, 16, 32 of a PVTv2."""

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            self.net = timm.create_model(name, features_only=True)
            info = self.net.feature_info
            found = [Tap(*one) for one in zip(info.channels(), info.reduction(), strict=True)]
        except (TypeError, AssertionError, RuntimeError, NotImplementedError, ValueError):
            found = []
        self.taps = [tap for tap in found if tap.stride >= FINEST]
        if len({tap.stride for tap in self.taps}) < 2:
            raise UserError(
                f"encoder timm:{name} has no stages of several strides; choose another for head mlp, "
                "e.g. timm:pvt_v2_b0, timm:convnext_atto"
            )
        self._channels_last = "NHWC" in str(getattr(self.net, "output_fmt", ""))

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> list[Float[Tensor, "b _ _ _"]]:
        stages = self.net(images)[-len(self.taps) :]
        return [x.permute(0, 3, 1, 2) for x in stages] if self._channels_last else list(stages)


def _dilated(c3: int, c4: int) -> list[Tap]:
    return [Tap(c3, OUTPUT_STRIDE), Tap(c4, OUTPUT_STRIDE)]


# Each name is in PAPER_ENCODERS, too.
OWN: dict[str, Callable[[], Encoder]] = {
    "resnet18": lambda: DilatedResNet(BasicBlock, (2, 2, 2, 2)),
    "resnet101": lambda: DilatedResNet(Bottleneck, (3, 4, 23, 3)),
    "mobilenetv2": lambda: MobileNetV2(),
}
