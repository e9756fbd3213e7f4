"""Winograd's convolution is the plain one: value, gradients, odd sizes, kernels."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from afdcd import kernels
from afdcd.distillers import winograd
from afdcd.distillers.winograd import winograd_conv3x3
from afdcd.kernels import winograd as winograd_kernels
from tests.devices import DEVICE

SIZES = [(2, 3, 4, 5, 7), (1, 6, 6, 8, 6), (2, 5, 3, 1, 1), (1, 1, 2, 2, 9)]  # b c d h w


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_plain_convolution(size: tuple[int, ...]) -> None:
    x, weight, bias = _arguments(size)
    plain, ours = F.conv2d(x, weight, bias, padding=1), winograd_conv3x3(x, weight, bias)
    torch.testing.assert_close(ours, plain)
    gradient = _random(*plain.shape, seed=9)
    expected = torch.autograd.grad(plain, (x, weight, bias), gradient)
    found = torch.autograd.grad(ours, (x, weight, bias), gradient)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_gradient_is_the_numerical_one() -> None:
    assert torch.autograd.gradcheck(winograd_conv3x3, _arguments((1, 2, 2, 3, 4)))


def test_single_precision_is_as_good_as_the_plain_one() -> None:
    x, weight, bias = (a.detach() for a in _arguments((1, 64, 64, 16, 16)))
    exact = F.conv2d(x, weight, bias, padding=1)
    found = winograd_conv3x3(x.float(), weight.float(), bias.float())
    assert (found - exact).norm() / exact.norm() < 1e-6


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layout_is_that_of_the_input(layout: torch.memory_format) -> None:
    x, weight, bias = _arguments((2, 3, 4, 6, 5))
    out = winograd_conv3x3(x.contiguous(memory_format=layout), weight, bias)
    assert out.is_contiguous(memory_format=layout)


def test_autocast_transforms_the_weight_in_fp32() -> None:
    """The products run in bf16; of a weight transformed in bf16 they would be three times as far off."""
    x, weight, bias = (a.detach().float() for a in _arguments((1, 64, 64, 16, 16)))
    exact = F.conv2d(x, weight, bias, padding=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = winograd_conv3x3(x, weight, bias)
    assert found.dtype == torch.bfloat16
    assert (found - exact).norm() / exact.norm() < 8e-3


@pytest.mark.parametrize("size", SIZES[:3])
def test_kernels_equal_torch(size: tuple[int, ...]) -> None:
    images, channels, _, height, width = size
    x = _random(images, height, width, channels).detach().float().to(DEVICE)
    tiles = _torch(winograd._input_tiles, x)
    torch.testing.assert_close(winograd_kernels.input_tiles(x), tiles)
    torch.testing.assert_close(
        winograd_kernels.gradient_tiles(x), _torch(winograd._gradient_tiles, x)
    )
    bias = _random(channels).detach().float().to(DEVICE)
    torch.testing.assert_close(
        winograd_kernels.output(tiles, bias, x.shape[:3]),
        _torch(winograd._output, tiles, bias, (images, height, width)),
    )


def _torch(function: object, *arguments: object) -> Tensor:
    """By torch, also where a kernel would be taken."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "runs_on", lambda x: False)
        return function(*arguments)


def _arguments(size: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    images, inputs, outputs, height, width = size
    return (
        _random(images, inputs, height, width),
        _random(outputs, inputs, 3, 3, seed=2),
        _random(outputs, seed=3),
    )


def _random(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
