"""The tile transforms of distillers/winograd.py: each in one pass over memory, summed in fp32."""

import triton
import triton.language as tl
from torch import Tensor

CHANNELS = 512  # of one program, which holds one tile: 16 values a channel
Shape = tuple[int, ...]  # images, rows, columns


def input_tiles(x: Tensor) -> Tensor:
    """B^T d B: [b, h, w, c] -> [16, tiles, c]."""
    return _run(_input_tiles, x, x.shape[:3], _new_tiles(x))


def gradient_tiles(grad: Tensor) -> Tensor:
    """A g A^T: [b, h, w, d] -> [16, tiles, d]."""
    return _run(_gradient_tiles, grad, grad.shape[:3], _new_tiles(grad))


def output(products: Tensor, bias: Tensor, shape: Shape) -> Tensor:
    """A^T m A + bias: [16, tiles, d] -> [*shape, d]."""
    out = products.new_empty(*shape, products.shape[2])
    return _run(_output, products, shape, out, bias)


def _new_tiles(x: Tensor) -> Tensor:
    images, height, width, channels = x.shape
    return x.new_empty(16, images * -(-height // 2) * -(-width // 2), channels)


def _run(kernel: object, source: Tensor, shape: Shape, out: Tensor, *extra: Tensor) -> Tensor:
    images, height, width = shape
    rows, columns, channels = -(-height // 2), -(-width // 2), source.shape[-1]
    block = min(CHANNELS, triton.next_power_of_2(channels))
    grid = (images * rows * columns, triton.cdiv(channels, block))
    arguments = (source, *extra, out, height, width, rows, columns, channels)
    kernel[grid](*arguments, BLOCK=block, num_warps=2)  # type: ignore[index]
    return out


@triton.jit
def _tile(rows, columns, height, width):
    """Image, first row and first column of this program's tile, and offset of the image."""
    tile = tl.program_id(0)
    row, column = tile // columns % rows * 2, tile % columns * 2
    image = (tile // (rows * columns)).to(tl.int64) * height * width
    return row, column, image


@triton.jit
def _pixel(source, image, row, column, height, width, channels, channel):
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    limit = tl.where(inside, channels, 0)
    offset = (image + row * width + column) * channels + channel
    return tl.load(source + offset, mask=channel < limit, other=0.0).to(tl.float32)


@triton.jit
def _slot(tiles, index, count, channels, channel):
    """Where position `index` of the 16 of this program's tile lies."""
    return tiles + (index * count + tl.program_id(0)).to(tl.int64) * channels + channel


@triton.jit
def _input_tiles(x, tiles, height, width, rows, columns, channels, BLOCK: tl.constexpr):
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    row, column, image = _tile(rows, columns, height, width)
    count, real = tl.num_programs(0), channel < channels
    for i in tl.static_range(4):
        # Rows of B^T: d0 - d2, d1 + d2, d2 - d1, d1 - d3.
        first = row - 1 + (1 if i == 3 else i)
        second = row - 1 + (3 if i == 3 else (1 if i == 2 else 2))
        sign = 1.0 if i == 1 else -1.0
        d0 = _pixel(x, image, first, column - 1, height, width, channels, channel)
        d1 = _pixel(x, image, first, column, height, width, channels, channel)
        d2 = _pixel(x, image, first, column + 1, height, width, channels, channel)
        d3 = _pixel(x, image, first, column + 2, height, width, channels, channel)
        d0 += sign * _pixel(x, image, second, column - 1, height, width, channels, channel)
        d1 += sign * _pixel(x, image, second, column, height, width, channels, channel)
        d2 += sign * _pixel(x, image, second, column + 1, height, width, channels, channel)
        d3 += sign * _pixel(x, image, second, column + 2, height, width, channels, channel)
        tl.store(_slot(tiles, 4 * i, count, channels, channel), d0 - d2, mask=real)
        tl.store(_slot(tiles, 4 * i + 1, count, channels, channel), d1 + d2, mask=real)
        tl.store(_slot(tiles, 4 * i + 2, count, channels, channel), d2 - d1, mask=real)
        tl.store(_slot(tiles, 4 * i + 3, count, channels, channel), d1 - d3, mask=real)


@triton.jit
def _gradient_tiles(grad, tiles, height, width, rows, columns, channels, BLOCK: tl.constexpr):
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    row, column, image = _tile(rows, columns, height, width)
    count, real = tl.num_programs(0), channel < channels
    g00 = _pixel(grad, image, row, column, height, width, channels, channel)
    g01 = _pixel(grad, image, row, column + 1, height, width, channels, channel)
    g10 = _pixel(grad, image, row + 1, column, height, width, channels, channel)
    g11 = _pixel(grad, image, row + 1, column + 1, height, width, channels, channel)
    for i in tl.static_range(4):
        # Rows of A: g0, g0 + g1, g0 - g1, -g1.
        upper = 0.0 if i == 3 else 1.0
        lower = 0.0 if i == 0 else (1.0 if i == 1 else -1.0)
        left, right = upper * g00 + lower * g10, upper * g01 + lower * g11
        tl.store(_slot(tiles, 4 * i, count, channels, channel), left, mask=real)
        tl.store(_slot(tiles, 4 * i + 1, count, channels, channel), left + right, mask=real)
        tl.store(_slot(tiles, 4 * i + 2, count, channels, channel), left - right, mask=real)
        tl.store(_slot(tiles, 4 * i + 3, count, channels, channel), -right, mask=real)


@triton.jit
def _line(products, row: tl.constexpr, j: tl.constexpr, count, channels, channel, real):
    """Row `row` of A^T m, column j: m0 + m1 + m2, or m1 - m2 - m3."""
    sign = 1.0 if row == 0 else -1.0
    m1 = tl.load(_slot(products, 4 + j, count, channels, channel), mask=real, other=0.0)
    m2 = tl.load(_slot(products, 8 + j, count, channels, channel), mask=real, other=0.0)
    index = j if row == 0 else 12 + j
    m = tl.load(_slot(products, index, count, channels, channel), mask=real, other=0.0)
    return m1.to(tl.float32) + sign * (m2.to(tl.float32) + m.to(tl.float32))


@triton.jit
def _output(products, bias, out, height, width, rows, columns, channels, BLOCK: tl.constexpr):
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    row, column, image = _tile(rows, columns, height, width)
    count, real = tl.num_programs(0), channel < channels
    shift = tl.load(bias + channel, mask=real, other=0.0).to(tl.float32)
    for i in tl.static_range(2):
        m0 = _line(products, i, 0, count, channels, channel, real)
        m1 = _line(products, i, 1, count, channels, channel, real)
        m2 = _line(products, i, 2, count, channels, channel, real)
        m3 = _line(products, i, 3, count, channels, channel, real)
        pixel = out + (image + (row + i) * width + column) * channels + channel
        below = tl.where(row + i < height, channels, 0)
        beside = tl.where((row + i < height) & (column + 1 < width), channels, 0)
        tl.store(pixel, m0 + m1 + m2 + shift, mask=channel < below)
        tl.store(pixel + channels, m1 - m2 - m3 + shift, mask=channel < beside)
