"""A 3x3 convolution whose input is zero at most positions, done only where it is not.

The masked positions of Af-DCD's projector input are zero, so its first convolution needs the kept
ones alone: gather them as rows, multiply by all nine taps in one matrix product, and add each
product to the output position it belongs to. Equal to the dense convolution but for rounding.

Axes: b images, h w rows and columns, c d input and output channels, q kept positions, t the nine
taps in the weight's order (row-major). Positions count over images, rows and columns; the one past
the last stands for "none".
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from afdcd import kernels
from afdcd.losses.precision import as_autocast, at_least_fp32

TAPS = 9
# Three at a time, where products of all nine with all rows would be the peak of the memory.
LINES = (slice(0, 3), slice(3, 6), slice(6, 9))
# Kept positions vary by step; a capacity that many standard deviations above their mean is
# exceeded less than once in 10^14 steps.
SPARE_SIGMAS = 8
ROW_MULTIPLE = 128


@dataclass(frozen=True)
class Kept:
    """Which positions of a [b, 1, h, w] mask are kept.

    Attributes:
        index: position of each row; rows past the kept ones point at position 0 and count for
            nothing.
        targets: output position that each tap of each row adds to.
        row: the row of each position, or -1 where it is masked.
        overflow: 0, or NaN where more positions were kept than `index` has room for.
        shape: b, h, w.
    """

    index: Int[Tensor, "q"]
    targets: Int[Tensor, "t q"]
    row: Int[Tensor, "p"]
    overflow: Float[Tensor, ""]
    shape: tuple[int, int, int]


def kept_positions(mask: Bool[Tensor, "b 1 h w"], mask_ratio: float) -> Kept:
    """The kept positions of a mask each of whose pixels was hidden with chance `mask_ratio`.

    On a GPU the number of rows is a constant of shape and ratio: counting them would stall the host
    in every iteration.
    """
    images, _, height, width = mask.shape
    flat = mask.flatten()
    positions = flat.numel()
    rows = int(flat.sum()) if counts_rows(mask) else _capacity(positions, mask_ratio)
    order = flat.cumsum(0) - 1
    row = torch.where(flat & (order < rows), order, -1)
    # Position of each row: masked ones all write to a last slot, which is cut off.
    slots = torch.full((rows + 1,), positions, device=mask.device)
    slots.scatter_(0, torch.where(row < 0, rows, row), torch.arange(positions, device=mask.device))
    index = slots[:rows]
    overflow = torch.where(order[-1] < rows, 0.0, math.nan)
    targets = _targets(index, images, height, width)
    index = torch.where(index < positions, index, 0)
    return Kept(index, targets, row, overflow, (images, height, width))


def counts_rows(mask: Bool[Tensor, "b 1 h w"]) -> bool:
    return not mask.is_cuda


def _capacity(positions: int, mask_ratio: float) -> int:
    kept = 1 - mask_ratio
    spread = math.sqrt(positions * kept * mask_ratio)
    rows = math.ceil(positions * kept + SPARE_SIGMAS * spread)
    return min(positions, -(-rows // ROW_MULTIPLE) * ROW_MULTIPLE)


def _targets(index: Int[Tensor, "q"], images: int, height: int, width: int) -> Int[Tensor, "t q"]:
    """A tap that reads from one row above adds to one row below, and so on."""
    taps = torch.arange(TAPS, device=index.device)[:, None]
    row = index // width % height + 1 - taps // 3
    column = index % width + 1 - taps % 3
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    inside &= index < images * height * width
    target = index // (height * width) * (height * width) + row * width + column
    return torch.where(inside, target, images * height * width)


def kept_conv3x3_relu(
    rows: Float[Tensor, "q c"], kept: Kept, conv: nn.Conv2d
) -> Float[Tensor, "b d h w"]:
    """ReLU of `conv` (3x3, padding 1, with bias) on a map that is `rows` at `kept` and else 0.

    Returns a map in channels_last layout.
    """
    rows = as_autocast(rows)
    images, height, width = kept.shape
    assert conv.bias is not None  # for mypy
    bias = (conv.bias + kept.overflow).to(rows.dtype)
    out = _KeptConv.apply(rows, conv.weight, bias, kept)
    return out.view(images, height, width, -1).permute(0, 3, 1, 2)


class _KeptConv(torch.autograd.Function):
    """rows [q c], weight [d c 3 3], bias [d] -> [p d]; ReLU included, so that it costs no pass."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, kept: Kept) -> Tensor:
        out = _sum_of_taps(rows, weight, bias, kept)
        ctx.save_for_backward(rows, weight, out)
        ctx.kept = kept
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, out = ctx.saved_tensors
        passed = grad.new_empty(len(out) + 1, out.shape[1])
        torch.mul(grad, out > 0, out=passed[:-1])
        passed[-1] = 0  # what falls outside
        to_rows, to_weight = torch.zeros_like(rows), torch.empty_like(weight)
        by_tap = to_weight.view(*weight.shape[:2], TAPS)
        for line in LINES:
            products = passed.index_select(0, ctx.kept.targets[line].t().flatten())
            products = products.view(len(rows), -1)
            to_rows.addmm_(products, _taps(weight, line, rows.dtype).t())
            # Written as the parameter lies in memory: no copy of it all in another order.
            part = (rows.t() @ products).view(len(rows.t()), TAPS // 3, -1).permute(2, 0, 1)
            by_tap[:, :, line].copy_(part)
        return to_rows, to_weight, passed.sum(0), None


def _sum_of_taps(
    rows: Float[Tensor, "q c"],
    weight: Float[Tensor, "d c 3 3"],
    bias: Float[Tensor, "d"],
    kept: Kept,
) -> Float[Tensor, "p d"]:
    if kernels.runs_on(rows):
        from afdcd.kernels.masked_conv import add_taps

        products = rows @ _taps(weight, slice(TAPS), rows.dtype)
        return add_taps(products, bias, kept.row, *kept.shape[1:])
    out = at_least_fp32(bias).repeat(len(kept.row) + 1, 1)
    for line in LINES:
        products = at_least_fp32(rows @ _taps(weight, line, rows.dtype)).view(-1, len(bias))
        out.index_add_(0, kept.targets[line].t().flatten(), products)
    return out[:-1].relu_().to(rows.dtype)


def _taps(
    weight: Float[Tensor, "d c 3 3"], which: slice, dtype: torch.dtype
) -> Float[Tensor, "c td"]:
    return weight.flatten(2)[:, :, which].permute(1, 2, 0).to(dtype).flatten(1)
