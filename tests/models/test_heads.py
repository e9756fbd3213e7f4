"""Heads: what the published ones compute beyond what parameter counts can tell."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from afdcd.models.heads import ASPP, AuxiliaryHead, DeepLabV3Head, PSPHead, PyramidPooling


def test_aspp_dilates_by_12_24_36_and_drops_half() -> None:
    aspp = ASPP(8, 4)
    assert [branch[0].dilation[0] for branch in aspp.branches] == [1, 12, 24, 36]
    assert aspp.project[-1].p == 0.5


def test_aspp_sees_the_mean_of_the_image_everywhere() -> None:
    aspp = ASPP(8, 4).eval()
    mean = torch.randn(1, 8, 1, 1, generator=torch.Generator().manual_seed(0))
    views: list[torch.Tensor] = []
    aspp.project.register_forward_hook(lambda _m, inputs, _o: views.append(inputs[0]))
    aspp(mean.expand(1, 8, 5, 7))
    expected = aspp.pooled(mean).expand(1, 4, 5, 7)
    torch.testing.assert_close(views[0][:, 16:], expected)


def test_pyramid_pools_to_grids_of_1_2_3_6() -> None:
    pyramid = PyramidPooling(8)
    grids: list[tuple[int, ...]] = []
    for branch in pyramid.branches:
        branch.register_forward_hook(lambda _m, inputs, _o: grids.append(inputs[0].shape[2:]))
    pyramid(torch.zeros(2, 8, 12, 18))
    assert grids == [(1, 1), (2, 2), (3, 3), (6, 6)]


def test_pyramid_keeps_the_map_and_resizes_means_with_aligned_corners() -> None:
    pyramid = PyramidPooling(8).eval()
    x = torch.randn(1, 8, 12, 12, generator=torch.Generator().manual_seed(0))
    out = pyramid(x)
    assert out[:, :8].equal(x)
    small = pyramid.branches[1](F.avg_pool2d(x, 6))
    expected = F.interpolate(small, (12, 12), mode="bilinear", align_corners=True)
    torch.testing.assert_close(out[:, 10:12], expected)
    torch.testing.assert_close(out[:, 10:12, ::11, ::11], small)  # corners stay what they were


@pytest.mark.parametrize("head", [DeepLabV3Head, PSPHead])
def test_logits_are_a_linear_map_of_the_returned_feature(head: type[nn.Module]) -> None:
    """The feature is taken after dropout 0.1, as the published taps are."""
    torch.manual_seed(0)
    network = head(8, 16, 3)
    feature, logits = network(torch.randn(2, 8, 12, 12))
    assert feature.shape == (2, 16, 12, 12)
    torch.testing.assert_close(logits, network.classifier(feature))
    assert network.block[-1].p == 0.1
    assert network.classifier.bias is not None


def test_auxiliary_head_is_a_3x3_and_a_1x1_convolution() -> None:
    head = AuxiliaryHead(64, 16, 3)
    assert sum(p.numel() for p in head.parameters()) == 64 * 16 * 9 + 2 * 16 + 16 * 3 + 3
