"""A dense 3x3 convolution with 16 multiplications where the plain one needs 36.

Source: Lavin & Gray 2016, arXiv:1509.09308, sec. 4.1, F(2x2, 3x3): every 2x2 tile of the output is a
sum over channels of products of a transformed 4x4 tile of the input with the transformed weight.
The same mathematics as the plain convolution; in fp32 it rounds as well, in bf16 the transformed
tiles are rounded once more (see docs/performance.md).

Axes: b images, h w rows and columns, c d input and output channels, n tiles of all images, k the 16
positions of a transformed tile (row-major).
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from afdcd import kernels
from afdcd.losses.precision import as_autocast, at_least_fp32

TILE = 2  # rows and columns of the output that one tile gives


def winograd_conv3x3(
    x: Float[Tensor, "b c h w"], weight: Float[Tensor, "d c 3 3"], bias: Float[Tensor, "d"]
) -> Float[Tensor, "b d h w"]:
    """`conv2d(x, weight, bias, padding=1)`, in the memory format of `x`."""
    last = as_autocast(x).movedim(1, -1).contiguous()
    with torch.autocast(x.device.type, enabled=False):  # the weight is transformed in fp32
        out = _Winograd.apply(last, weight, bias.to(last.dtype)).movedim(-1, 1)
    return out.contiguous() if x.is_contiguous() else out


class _Winograd(torch.autograd.Function):
    """x [b h w c], weight, bias -> [b h w d]. What can be computed again is not kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous()
        back = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1)
            back = _convolve(grad, turned, grad.new_zeros(len(turned)))
        products = _input_tiles(x).transpose(1, 2) @ _gradient_tiles(grad)
        return back, _weight_gradient(products, weight), grad.sum((0, 1, 2))


def _convolve(
    x: Float[Tensor, "b h w c"], weight: Float[Tensor, "d c 3 3"], bias: Float[Tensor, "d"]
) -> Float[Tensor, "b h w d"]:
    products = _input_tiles(x) @ _weight_tiles(weight).to(x.dtype)
    return _output(products, bias, (x.shape[0], x.shape[1], x.shape[2]))


def _weight_tiles(weight: Float[Tensor, "d c 3 3"]) -> Float[Tensor, "16 c d"]:
    """G g G^T in the weight's own precision."""
    taps = weight.permute(2, 3, 1, 0).flatten(0, 1)
    return (_GG.to(weight) @ taps.flatten(1)).unflatten(1, taps.shape[1:])


def _weight_gradient(
    products: Float[Tensor, "16 c d"], weight: Float[Tensor, "d c 3 3"]
) -> Float[Tensor, "d c 3 3"]:
    taps = _GG.to(weight).t() @ products.to(weight.dtype).flatten(1)
    return taps.view(3, 3, *products.shape[1:]).permute(3, 2, 0, 1)


_G = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])
_GG = torch.kron(_G, _G)  # 16 positions of a tile from 9 taps


def _tiles(shape: tuple[int, ...]) -> tuple[int, int]:
    return -(-shape[1] // TILE), -(-shape[2] // TILE)


def _input_tiles(x: Float[Tensor, "b h w c"]) -> Float[Tensor, "16 n c"]:
    """B^T d B of the 4x4 tiles, two apart, of the map with a border of zeros."""
    if kernels.runs_on(x):
        from afdcd.kernels import winograd

        return winograd.input_tiles(x)
    rows, columns = _tiles(x.shape)
    below, right = 2 * rows + 1 - x.shape[1], 2 * columns + 1 - x.shape[2]
    padded = F.pad(at_least_fp32(x), (0, 0, 1, right, 1, below))
    d = [padded[:, k : k + 2 * rows : 2] for k in range(4)]
    lines = torch.stack((d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]))
    d = [lines[:, :, :, k : k + 2 * columns : 2] for k in range(4)]
    tiles = torch.stack((d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]), dim=1)
    return tiles.flatten(0, 1).flatten(1, 3).to(x.dtype)


def _output(
    products: Float[Tensor, "16 n d"], bias: Float[Tensor, "d"], shape: tuple[int, int, int]
) -> Float[Tensor, "b h w d"]:
    """A^T m A of each tile, laid side by side, plus bias."""
    if kernels.runs_on(products):
        from afdcd.kernels import winograd

        return winograd.output(products, bias, shape)
    images, height, width = shape
    rows, columns = _tiles(shape)
    m = at_least_fp32(products).view(4, 4, images, rows, columns, -1)
    lines = torch.stack((m[0] + m[1] + m[2], m[1] - m[2] - m[3]), dim=2)
    pairs = lines[0] + lines[1] + lines[2], lines[1] - lines[2] - lines[3]
    # from image, row in tile, tile row, tile column, column in tile, channel
    tiles = torch.stack(pairs, dim=4).transpose(1, 2)
    whole = tiles.reshape(images, 2 * rows, 2 * columns, -1)
    return (whole[:, :height, :width] + bias).to(products.dtype)


def _gradient_tiles(grad: Float[Tensor, "b h w d"]) -> Float[Tensor, "16 n d"]:
    """A g A^T of the 2x2 tiles of the output's gradient."""
    if kernels.runs_on(grad):
        from afdcd.kernels import winograd

        return winograd.gradient_tiles(grad)
    rows, columns = _tiles(grad.shape)
    below, right = 2 * rows - grad.shape[1], 2 * columns - grad.shape[2]
    g = F.pad(at_least_fp32(grad), (0, 0, 0, right, 0, below))
    upper, lower = g[:, 0::2], g[:, 1::2]
    lines = torch.stack((upper, upper + lower, upper - lower, -lower))
    left, right_ = lines[:, :, :, 0::2], lines[:, :, :, 1::2]
    tiles = torch.stack((left, left + right_, left - right_, -right_), dim=1)
    return tiles.flatten(0, 1).flatten(1, 3).to(grad.dtype)
