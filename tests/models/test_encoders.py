"""Encoders: strides, widths, dilations and initialisation of the published networks."""

import math

import pytest
import torch
from torch import nn

from afdcd.config import UserError
from afdcd.models.encoders import MobileNetV2, build_encoder, check_encoder

ENCODERS = {
    "resnet18": (256, 512),
    "resnet101": (1024, 2048),
    "mobilenetv2": (96, 320),
    "timm:resnet10t": (256, 512),
    "timm:mobilenetv3_small_050": (24, 288),
    "timm:convnext_atto": (160, 320),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_channels_and_stride_are_what_is_promised(name: str) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name)
        c3, c4 = encoder(torch.empty(1, 3, 72, 40))
    assert [tap.channels for tap in encoder.taps] == [*ENCODERS[name]] == [c3.shape[1], c4.shape[1]]
    assert c3.shape[2:] == c4.shape[2:] == (9, 5)


def test_resnet_keeps_the_grid_by_dilation() -> None:
    """losses.md 1.1: the first 3x3 of a stage sees the grid before it, no multi-grid."""
    with torch.device("meta"):
        encoder = build_encoder("resnet18")
    found = [
        (conv1.dilation[0], conv2.dilation[0])
        for stage in (encoder.layer2, encoder.layer3, encoder.layer4)
        for conv1, conv2 in ((block.conv1, block.conv2) for block in stage)
    ]
    assert found == [(1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4)]


def test_mobilenetv2_keeps_the_grid_by_dilation() -> None:
    with torch.device("meta"):
        encoder = MobileNetV2()
    depthwise = [
        conv
        for block in encoder.features[1:]
        for conv in block.conv
        if isinstance(conv, nn.Conv2d) and conv.groups > 1
    ]
    assert [c.dilation[0] for c in depthwise] == [1] * 7 + [2] * 7 + [4] * 3
    assert [i for i, c in enumerate(depthwise, 1) if c.stride[0] == 2] == [2, 4]


def test_mobilenetv2_ends_linear() -> None:
    torch.manual_seed(0)
    encoder = MobileNetV2().eval()
    _, c4 = encoder(torch.randn(1, 3, 32, 32))
    assert c4.min() < 0


def test_resnet_starts_with_unit_batch_norms_and_kaiming_convolutions() -> None:
    """timm would zero the last batch norm of every block; the paper does not."""
    torch.manual_seed(0)
    encoder = build_encoder("resnet18")
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.weight.eq(1).all() and norm.bias.eq(0).all() for norm in norms)
    weight = encoder.layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 512)), rel=0.01)


def test_mobilenetv2_starts_with_fan_out_of_all_channels_even_where_depthwise() -> None:
    torch.manual_seed(0)
    encoder = MobileNetV2()
    depthwise, pointwise = encoder.features[17].conv[3], encoder.features[17].conv[6]
    assert depthwise.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 960)), rel=0.03)
    assert pointwise.weight.std().item() == pytest.approx(math.sqrt(2 / 320), rel=0.03)


def test_unknown_encoder_lists_the_right_names() -> None:
    with pytest.raises(ValueError, match=r"resnet18, resnet101, mobilenetv2.*timm:resnet10t"):
        check_encoder("timm:resnet10tt")
    with pytest.raises(ValueError, match="resnet50"):
        check_encoder("resnet50")  # a timm name, but without the prefix


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "timm:vgg11"])
def test_network_that_cannot_be_dilated_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} cannot give features at output stride 8"):
        build_encoder(name)
