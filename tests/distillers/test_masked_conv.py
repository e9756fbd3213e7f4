"""The convolution of the kept positions: equal to the dense one, on every road through it."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from afdcd import kernels
from afdcd.distillers import masked_conv
from afdcd.distillers.masked_conv import kept_conv3x3_relu, kept_positions
from tests.devices import DEVICE

RATIO = 0.7


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(2, 5, 7), (1, 1, 1), (3, 4, 2), (1, 9, 1)])
def test_equals_the_dense_convolution_of_the_masked_map(
    size: tuple[int, int, int], layout: torch.memory_format
) -> None:
    mask, x, conv = (
        _mask(size),
        _random(size[0], 3, *size[1:]),
        _conv(3, 4).to(memory_format=layout),
    )
    dense = F.relu(conv(x * mask))
    sparse = _on_kept(x, mask, conv)
    gradient = _random(*dense.shape, seed=5)
    torch.testing.assert_close(sparse, dense)
    for ours, theirs in zip(
        _gradients(sparse, x, conv, gradient), _gradients(dense, x, conv, gradient), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("mask", [torch.zeros, torch.ones])
def test_all_hidden_and_all_kept(mask: type) -> None:
    conv, x = _conv(2, 2), _random(1, 2, 3, 4)
    hides = mask(1, 1, 3, 4, dtype=torch.bool)
    torch.testing.assert_close(_on_kept(x, hides, conv), F.relu(conv(x * hides)))


def test_gradient_is_the_numerical_one() -> None:
    mask, conv = _mask((1, 3, 4)), _conv(2, 2)
    assert torch.autograd.gradcheck(lambda x: _on_kept(x, mask, conv), (_random(1, 2, 3, 4),))


def test_rows_of_a_constant_number_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where counting the kept positions would stall the host."""
    mask, x, conv = _mask((2, 16, 16)), _random(2, 3, 16, 16), _conv(3, 4)
    exact = _on_kept(x, mask, conv)
    gradient = _random(*exact.shape, seed=5)
    expected = _gradients(exact, x, conv, gradient)
    monkeypatch.setattr(masked_conv, "counts_rows", lambda mask: False)
    assert len(kept_positions(mask, RATIO).index) > mask.sum()
    padded = _on_kept(x, mask, conv)
    torch.testing.assert_close(padded, exact)
    for ours, theirs in zip(_gradients(padded, x, conv, gradient), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_more_kept_positions_than_rows_is_never_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rarer than once in 10^14 steps; the step is then refused as one that diverged."""
    monkeypatch.setattr(masked_conv, "counts_rows", lambda mask: False)
    monkeypatch.setattr(masked_conv, "ROW_MULTIPLE", 1)
    mask = torch.ones(1, 1, 32, 32, dtype=torch.bool)
    assert kept_positions(mask, 0.0).overflow == 0
    assert math.isnan(kept_positions(mask, 0.9).overflow)
    assert _on_kept(_random(1, 2, 32, 32), mask, _conv(2, 2), ratio=0.9).isnan().all()


@pytest.mark.parametrize("channels", [5, 2100])
def test_kernel_equals_torch(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = _mask((2, 3, 4)).to(DEVICE)
    positions = kept_positions(mask, RATIO)
    rows = _random(len(positions.index), 2).float().to(DEVICE)
    weight = _random(channels, 2, 3, 3).float().to(DEVICE)
    bias = _random(channels).float().to(DEVICE)
    sums = []
    for by_kernel in (True, False):
        monkeypatch.setattr(kernels, "runs_on", lambda x, answer=by_kernel: answer)
        sums.append(masked_conv._sum_of_taps(rows, weight, bias, positions))
    torch.testing.assert_close(*sums)


def test_products_of_all_taps_are_not_held_for_the_backward_pass() -> None:
    """Nine products of every kept row were the peak of a step's memory."""
    mask, x, conv = torch.ones(1, 1, 8, 8, dtype=torch.bool), _random(1, 16, 8, 8), _conv(16, 16)
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = _on_kept(x, mask, conv)
    small = 2 * 8 * 8 * 8  # the rows' positions
    assert sum(saved.values()) <= 2 * out.nbytes + conv.weight.nbytes + small


def _on_kept(x: Tensor, mask: Tensor, conv: nn.Conv2d, ratio: float = RATIO) -> Tensor:
    positions = kept_positions(mask, ratio)
    rows = x.movedim(1, -1).flatten(0, 2).index_select(0, positions.index)
    return kept_conv3x3_relu(rows, positions, conv)


def _gradients(out: Tensor, x: Tensor, conv: nn.Conv2d, gradient: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(out, (x, conv.weight, conv.bias), gradient)


def _mask(size: tuple[int, int, int]) -> Tensor:
    images, height, width = size
    generator = torch.Generator().manual_seed(3)
    return torch.rand(images, 1, height, width, generator=generator) <= 1 - RATIO


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(inputs, outputs, 3, padding=1).double()


def _random(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
