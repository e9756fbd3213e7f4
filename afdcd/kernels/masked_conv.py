"""The scatter-add of distillers/kept.py as a gather: each output position sums up to nine rows.

Gathering needs no atomics, so the sum is the same in every run, and bias and ReLU cost no pass.
"""

import triton
import triton.language as tl
from torch import Tensor

MAX_CHANNELS = 2048  # of one program


def add_taps(products: Tensor, bias: Tensor, rows: Tensor, height: int, width: int) -> Tensor:
    """ReLU(bias [d] + the tap products [q, 9*d] that reach each position) as [p, d].

    Args:
        rows: the row q of each of the p positions, or -1.
    """
    positions, channels = len(rows), len(bias)
    out = products.new_empty(positions, channels)
    block = min(MAX_CHANNELS, triton.next_power_of_2(channels))
    grid = (positions, triton.cdiv(channels, block))
    _add_taps[grid](products, bias, rows, out, height, width, channels, BLOCK=block)
    return out


@triton.jit
def _add_taps(products, bias, rows, out, height, width, channels, BLOCK: tl.constexpr):
    position = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    real = channel < channels
    row, column = position // width % height, position % width
    total = tl.load(bias + channel, mask=real, other=0.0).to(tl.float32)
    for tap in tl.static_range(9):
        up, left = tap // 3 - 1, tap % 3 - 1
        inside = (row + up >= 0) & (row + up < height)
        inside &= (column + left >= 0) & (column + left < width)
        source = tl.load(rows + position + up * width + left, mask=inside, other=-1)
        offset = (source * 9 + tap) * channels  # int64, as `rows` is
        reached = channel < tl.where(source >= 0, channels, 0)
        total += tl.load(products + offset + channel, mask=reached, other=0.0).to(tl.float32)
    tl.store(out + position.to(tl.int64) * channels + channel, tl.maximum(total, 0.0), mask=real)
