"""Omni-contrast on a GPU: distances live in registers, one tile at a time.

Two instructions per pair of tokens and channel (subtract, add the magnitude) bound the forward
pass, so everything else is kept out of that loop: tokens are copied once to padded fp32 scratch
[p, d, n], contiguous along n, where a tile needs no masks and loads four tokens at once. Tokens are
ordered by group, then pixel: the loss does not depend on the order, and tiles without a candidate
("other_groups") are then skipped whole.

The gradient is sparse. A softmax over -L1 / temperature has, at the authors' 0.07, a handful of
weights per token that fp32 can see, so the forward pass lists these, `slope_of_listed` reads only
them, and only rows with more than CAPACITY of them (a high temperature) are compared a second time,
by `slope_of_all`. What is launched never depends on the data: nothing waits for the GPU.
"""

import math
from dataclasses import dataclass

import torch
import triton
from jaxtyping import Float, Int
from torch import Tensor

from afdcd.kernels import contrast as kernels
from afdcd.kernels import contrast_slope
from afdcd.losses.contrast_blocked import pieces

# Chosen by counting instructions of the code compiled for an H100: 512 of the 549 in the inner loop
# of the largest tile are the subtractions and additions.
TILES = ((64, 4), (32, 2), (16, 1))  # (side, warps): a thread keeps 32, 16 or 8 distances
UNROLL = 8  # channels per turn of the inner loop
REGISTERS = 168  # per thread: listing spills at 128, 18.0 against 14.7 ms at patch 16 on an H200
CAPACITY = 64  # weights listed per student token, 8 bytes each
SCRATCH_BYTES = 128 * 2**20  # for tokens, lists and sums, whatever the batch
ROWS, CHANNELS = 16, 128  # tile of `slope_of_listed`
PACK = 64  # side of the tiles that are copied to scratch


def fused(
    student: Float[Tensor, "b c h w"],
    teacher: Float[Tensor, "b c h w"],
    *,
    groups: int,
    patch: tuple[int, int],
    temperature: float,
    other_groups: bool,
    with_slope: bool,
) -> tuple[Float[Tensor, ""], Float[Tensor, "b c h w"] | None]:
    """What `contrast_blocked.blocked` computes, of fp32, bf16 or fp16 maps, in fp32."""
    total = torch.zeros((), dtype=torch.float64, device=student.device)
    slope = torch.empty_like(student) if with_slope else None
    with torch.cuda.device_of(student):
        for images, rows in pieces(student.shape, patch, _piece_elements(student, groups, patch)):
            part = (images, slice(None), rows)
            layout = _Layout.of(student[part], groups, patch)
            tokens = _pack(student[part], layout), _pack(teacher[part], layout)
            compared = _compare(*tokens, layout, 1 / temperature, other_groups, with_slope)
            total += compared.excess.sum(dtype=torch.float64)
            if slope is not None:
                _slope_of_listed(student[part], teacher[part], slope[part], layout, compared)
                _slope_of_all(*tokens, slope[part], layout, compared, 1 / temperature, other_groups)
    return total.float(), slope


@dataclass(frozen=True)
class _Layout:
    """How a map is cut into `patches` of n tokens x d channels, and scratch into tiles."""

    patches: int
    grid: tuple[int, int]
    patch: tuple[int, int]
    n: int
    d: int
    tile: int
    warps: int

    @classmethod
    def of(cls, x: Float[Tensor, "b c h w"], groups: int, patch: tuple[int, int]) -> "_Layout":
        images, channels, height, width = x.shape
        grid, n = (height // patch[0], width // patch[1]), patch[0] * patch[1] * groups
        patches = images * grid[0] * grid[1]
        return cls(patches, grid, patch, n, channels // groups, *_tile(n))

    @property
    def size(self) -> int:
        """Tokens of a patch in scratch."""
        return _round_up(self.n, self.tile)

    @property
    def depth(self) -> int:
        """Channels of a token in scratch."""
        return _round_up(self.d, self.unroll)

    @property
    def unroll(self) -> int:
        return min(UNROLL, triton.next_power_of_2(self.d))

    @property
    def in_map(self) -> dict[str, int]:
        """By what a kernel finds the tokens of a patch in a map."""
        (down, across), (high, wide) = self.grid, self.patch
        sides = {"down": down, "across": across, "high": high, "wide": wide}
        return sides | {"n": self.n, "d": self.d, "size": self.size}


@dataclass(frozen=True)
class _Compared:
    """What `kernels.compare` writes, with padding."""

    excess: Float[Tensor, "p size"]
    positive: Float[Tensor, "p size"]
    counts: Int[Tensor, "p size"]
    listed: Int[Tensor, "p size capacity"]
    logits: Float[Tensor, "p size capacity"]


def _pack(x: Float[Tensor, "b c h w"], layout: _Layout) -> Float[Tensor, "p depth size"]:
    tokens = x.new_empty(layout.patches, layout.depth, layout.size, dtype=torch.float32)
    block = min(PACK, layout.tile)
    programs = layout.patches * (layout.size // block) * triton.cdiv(layout.depth, PACK)
    kernels.pack[(programs,)](
        x, tokens, *x.stride(), **layout.in_map, depth=layout.depth, block=block, channels=PACK
    )
    return tokens


def _compare(
    student: Float[Tensor, "p depth size"],
    teacher: Float[Tensor, "p depth size"],
    layout: _Layout,
    scale: float,
    other_groups: bool,
    with_lists: bool,
) -> _Compared:
    rows, capacity = (layout.patches, layout.size), CAPACITY if with_lists else 0
    compared = _Compared(
        excess=student.new_empty(rows),
        positive=student.new_empty(rows),
        counts=student.new_empty(rows, dtype=torch.int32),
        listed=student.new_empty(*rows, capacity, dtype=torch.int32),
        logits=student.new_empty(*rows, capacity),
    )
    kernels.compare[(layout.patches * (layout.size // layout.tile),)](
        student,
        teacher,
        **vars(compared),
        scale=scale,
        visible=_visible(layout.n),
        n=layout.n,
        pixels=layout.patch[0] * layout.patch[1],
        size=layout.size,
        depth=layout.depth,
        tile=layout.tile,
        unroll=layout.unroll,
        other_groups=other_groups,
        capacity=capacity,
        num_warps=layout.warps,
        num_stages=1,  # loads into registers, not through shared memory
        maxnreg=REGISTERS,
    )
    return compared


def _slope_of_listed(
    student: Float[Tensor, "b c h w"],
    teacher: Float[Tensor, "b c h w"],
    slope: Float[Tensor, "b c h w"],
    layout: _Layout,
    compared: _Compared,
) -> None:
    channels = min(CHANNELS, triton.next_power_of_2(layout.d))
    programs = layout.patches * (layout.size // ROWS) * triton.cdiv(layout.d, channels)
    contrast_slope.slope_of_listed[(programs,)](
        student,
        teacher,
        slope,
        compared.excess,
        compared.counts,
        compared.listed,
        compared.logits,
        _visible(layout.n),
        *(*student.stride(), *teacher.stride(), *slope.stride()),
        **layout.in_map,
        tile=layout.tile,
        capacity=CAPACITY,
        block=ROWS,
        channels=channels,
    )


def _slope_of_all(
    student: Float[Tensor, "p depth size"],
    teacher: Float[Tensor, "p depth size"],
    slope: Float[Tensor, "b c h w"],
    layout: _Layout,
    compared: _Compared,
    scale: float,
    other_groups: bool,
) -> None:
    contrast_slope.slope_of_all[(layout.patches * (layout.size // layout.tile),)](
        student,
        teacher,
        torch.empty_like(student),
        slope,
        compared.excess,
        compared.positive,
        compared.counts,
        scale,
        _visible(layout.n),
        *slope.stride(),
        **layout.in_map,
        depth=layout.depth,
        tile=layout.tile,
        unroll=layout.unroll,
        other_groups=other_groups,
        capacity=CAPACITY,
        num_warps=layout.warps,
        num_stages=1,
        maxnreg=REGISTERS,
    )


def _visible(n: int) -> float:
    """How far below a row's sum a logit may be and still count.

    All that lies below weighs together less than 2^-24 of the row: half a unit in the last place of
    fp32.
    """
    return math.log(2.0**24 * n)


def _piece_elements(x: Float[Tensor, "b c h w"], groups: int, patch: tuple[int, int]) -> int:
    """Features worked on at once, so that scratch takes about SCRATCH_BYTES."""
    n, d = patch[0] * patch[1] * groups, x.shape[1] // groups
    token = 3 * 4 * _round_up(d, UNROLL) + 8 * CAPACITY  # two copies, sums; lists
    return SCRATCH_BYTES // token * d * n // _round_up(n, TILES[-1][0])


def _tile(n: int) -> tuple[int, int]:
    """Side and warps of the largest tile that pads `n` tokens little, else of the smallest."""
    smallest = _round_up(n, TILES[-1][0])
    padded = ((_round_up(n, side), side, warps) for side, warps in TILES)
    return next((s, w) for size, s, w in padded if size**2 <= 1.25 * smallest**2)


def _round_up(x: int, multiple: int) -> int:
    return -(-x // multiple) * multiple
