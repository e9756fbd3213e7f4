"""The slope of the contrast: what runs in the backward pass of `contrast_triton`, in Triton's language.

Names and layouts are those of `afdcd.kernels.contrast`.
"""

import triton
import triton.language as tl

from afdcd.kernels.contrast import distances, has_negatives, locate, only_negatives, sign_times


@triton.jit
def slope_of_listed(
    student,
    teacher,
    slope,
    excess,
    counts,
    listed,
    logits,
    visible,
    student_b,
    student_c,
    student_y,
    student_x,
    teacher_b,
    teacher_c,
    teacher_y,
    teacher_x,
    slope_b,
    slope_c,
    slope_y,
    slope_x,
    down,
    across,
    high: tl.constexpr,
    wide: tl.constexpr,
    n: tl.constexpr,
    d: tl.constexpr,
    size: tl.constexpr,
    tile: tl.constexpr,
    capacity: tl.constexpr,
    block: tl.constexpr,
    channels: tl.constexpr,
):
    """Slope of `block` rows by `channels` channels from their listed negatives.

    Leaves the rows of a tile to `slope_of_all` if one of them has more than its list holds.
    """
    pid = tl.program_id(0)
    patch = pid // (size // block * tl.cdiv(d, channels))
    i = pid // tl.cdiv(d, channels) % (size // block) * block + tl.arange(0, block)
    c = pid % tl.cdiv(d, channels) * channels + tl.arange(0, channels)
    of_patch = patch.to(tl.int64) * size
    neighbours = tl.min(i, axis=0) // tile * tile + tl.arange(0, tile)
    if tl.max(tl.load(counts + of_patch + neighbours), axis=0) <= capacity:
        inside = (i < n)[:, None] & (c < d)[None, :]
        at = locate(
            patch, i, down, across, high, wide, d, student_b, student_c, student_y, student_x
        )
        from_here = at[:, None] + c[None, :].to(tl.int64) * student_c
        s = tl.load(student + from_here, mask=inside, other=0.0).to(tl.float32)
        base = locate(
            patch, i, down, across, high, wide, d, teacher_b, teacher_c, teacher_y, teacher_x
        )
        offset = c[None, :].to(tl.int64) * teacher_c
        own = tl.load(teacher + base[:, None] + offset, mask=inside, other=0.0).to(tl.float32)
        loss = tl.load(excess + of_patch + i)
        count = tl.load(counts + of_patch + i)
        result = sign_times(s - own, (1.0 - tl.exp(-loss))[:, None])
        for k in range(tl.max(count, axis=0)):
            entry = (of_patch + i) * capacity + k
            z = tl.load(logits + entry, mask=k < count, other=float("-inf")) - loss
            j = tl.load(listed + entry, mask=k < count, other=0)
            seen = z > -visible  # listed when the sum so far was smaller
            base = locate(
                patch, j, down, across, high, wide, d, teacher_b, teacher_c, teacher_y, teacher_x
            )
            from_there = teacher + base[:, None] + offset
            negative = tl.load(from_there, mask=inside & seen[:, None], other=0.0).to(tl.float32)
            weight = tl.where(seen, tl.exp(z), 0.0)
            result -= sign_times(s - negative, weight[:, None])
        at = locate(patch, i, down, across, high, wide, d, slope_b, slope_c, slope_y, slope_x)
        to = at[:, None] + c[None, :].to(tl.int64) * slope_c
        tl.store(slope + to, result.to(slope.dtype.element_ty), mask=inside)


@triton.jit
def slope_of_all(
    student,
    teacher,
    sums,
    slope,
    excess,
    positive,
    counts,
    scale,
    visible,
    slope_b,
    slope_c,
    slope_y,
    slope_x,
    down,
    across,
    high: tl.constexpr,
    wide: tl.constexpr,
    n: tl.constexpr,
    d: tl.constexpr,
    size: tl.constexpr,
    depth: tl.constexpr,
    tile: tl.constexpr,
    unroll: tl.constexpr,
    other_groups: tl.constexpr,
    capacity: tl.constexpr,
):
    """Slope of the rows of a tile from all negatives, if one of them has more than its list holds.

    Distances are computed again; tiles whose weights cannot be seen are left at that.
    """
    patch = (tl.program_id(0) // (size // tile)).to(tl.int64)
    first = tl.program_id(0) % (size // tile) * tile
    i = first + tl.arange(0, tile)
    if tl.max(tl.load(counts + patch * size + i), axis=0) > capacity:
        pixels: tl.constexpr = high * wide
        tokens = patch * depth * size
        rows = student + tokens + i
        near = tl.load(positive + patch * size + i)
        loss = tl.load(excess + patch * size + i)
        for c in range(d):
            difference = tl.load(rows + c * size) - tl.load(teacher + tokens + i + c * size)
            tl.store(sums + tokens + i + c * size, sign_times(difference, 1.0 - tl.exp(-loss)))
        for start in range(0, size, tile):
            if has_negatives(first, start, tile, pixels, other_groups):
                j = start + tl.arange(0, tile)
                columns = teacher + tokens + j
                z = (near[:, None] - distances(rows, columns, size, depth, tile, unroll)) * scale
                z = only_negatives(z, first, start, n, pixels, tile, other_groups)
                z = tl.where((i < n)[:, None], z - loss[:, None], float("-inf"))
                if tl.max(tl.max(z, axis=1), axis=0) > -visible:
                    weight = tl.exp(z)
                    tl.debug_barrier()  # what other threads of the program stored before
                    for c in range(d):
                        s, t = tl.load(rows + c * size), tl.load(columns + c * size)
                        signed = sign_times(s[:, None] - t[None, :], weight)
                        at = sums + tokens + i + c * size
                        tl.store(at, tl.load(at) - tl.sum(signed, axis=1))
        tl.debug_barrier()
        at = locate(patch, i, down, across, high, wide, d, slope_b, slope_c, slope_y, slope_x)
        for c in range(d):
            total = tl.load(sums + tokens + i + c * size)
            tl.store(slope + at, total.to(slope.dtype.element_ty), mask=i < n)
            at += slope_c
