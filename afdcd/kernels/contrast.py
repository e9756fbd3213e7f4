"""What runs on the GPU for `contrast_triton`, in Triton's language.

Scratch: tokens [p, d, n] in fp32, padded by zeros to `size` tokens and `depth` channels; a value per
token [p, size]. Maps are read and written where they are, by their strides. Pointers to maps,
scratch and lists carry the name of what they point to. i: student tokens (rows of a tile), j:
teacher tokens (columns), c: channels.
"""

import triton
import triton.language as tl


@triton.jit
def locate(
    patch,
    token,
    down,
    across,
    high: tl.constexpr,
    wide: tl.constexpr,
    d: tl.constexpr,
    sb,
    sc,
    sy,
    sx,
):
    """Where the first channel of a token lies in a map of strides sb sc sy sx.

    A map has down x across patches of high x wide pixels; token = group * pixels + pixel.
    """
    pixel = token % (high * wide)
    group = (token // (high * wide)).to(tl.int64)
    image = (patch // (down * across)).to(tl.int64)
    y = (patch // across % down * high + pixel // wide).to(tl.int64)
    x = (patch % across * wide + pixel % wide).to(tl.int64)
    return image * sb + group * d * sc + y * sy + x * sx


@triton.jit
def sign_times(difference, weight):
    """As torch.cdist has it: the slope of |x| at 0 is 0."""
    return tl.where(difference > 0, weight, tl.where(difference < 0, -weight, 0.0))


@triton.jit
def pack(
    source,
    tokens,
    sb,
    sc,
    sy,
    sx,
    down,
    across,
    high: tl.constexpr,
    wide: tl.constexpr,
    n: tl.constexpr,
    d: tl.constexpr,
    size: tl.constexpr,
    depth: tl.constexpr,
    block: tl.constexpr,
    channels: tl.constexpr,
):
    """Copies a map to scratch, `block` tokens by `channels` channels a program."""
    pid = tl.program_id(0)
    patch = pid // (size // block * tl.cdiv(depth, channels))
    token = pid % (size // block) * block + tl.arange(0, block)
    c = pid // (size // block) % tl.cdiv(depth, channels) * channels + tl.arange(0, channels)
    address = locate(patch, token, down, across, high, wide, d, sb, sc, sy, sx)
    inside = (c < d)[:, None] & (token < n)[None, :]
    x = tl.load(source + address[None, :] + c[:, None].to(tl.int64) * sc, mask=inside, other=0.0)
    target = tokens + (patch.to(tl.int64) * depth + c[:, None]) * size + token[None, :]
    tl.store(target, x.to(tl.float32), mask=(c < depth)[:, None])


@triton.jit
def distances(
    rows,
    columns,
    size: tl.constexpr,
    depth: tl.constexpr,
    tile: tl.constexpr,
    unroll: tl.constexpr,
):
    """L1 distances [tile, tile] of the tokens at `rows` and at `columns`: the inner loop.

    Padding adds |0 - 0|, so there is nothing to mask.
    """
    # A product of zeros costs nothing (the compiler folds it) and makes Triton lay the tile out in
    # squares of 4x4 per thread: a load then brings four tokens. Without it each comes by itself.
    result = tl.dot(
        tl.zeros([tile, 16], tl.float32), tl.zeros([16, tile], tl.float32), input_precision="ieee"
    )
    for _ in range(0, depth, unroll):
        for u in tl.static_range(unroll):
            s = tl.load(rows + u * size)
            t = tl.load(columns + u * size)
            result += tl.abs(s[:, None] - t[None, :])
        rows += unroll * size
        columns += unroll * size
    return result


@triton.jit
def has_negatives(
    first_i, first_j, tile: tl.constexpr, pixels: tl.constexpr, other_groups: tl.constexpr
):
    """Whether a tile is more than tokens of one and the same group."""
    result = True
    if other_groups:
        last_i, last_j = (first_i + tile - 1) // pixels, (first_j + tile - 1) // pixels
        result = (first_i // pixels != last_j) | (first_j // pixels != last_i)
    return result


@triton.jit
def only_negatives(
    z,
    first_i,
    first_j,
    n: tl.constexpr,
    pixels: tl.constexpr,
    tile: tl.constexpr,
    other_groups: tl.constexpr,
):
    """The logits of a tile, -inf where the teacher's token is no negative of the student's."""
    i, j = first_i + tl.arange(0, tile), first_j + tl.arange(0, tile)
    if other_groups:
        # Most tiles of a large patch hold no group twice.
        if ((first_i + tile - 1) // pixels >= first_j // pixels) & (
            (first_j + tile - 1) // pixels >= first_i // pixels
        ):
            z = tl.where((i // pixels)[:, None] != (j // pixels)[None, :], z, float("-inf"))
    elif first_i == first_j:
        z = tl.where(i[:, None] != j[None, :], z, float("-inf"))
    if n % tile != 0:
        z = tl.where((j < n)[None, :], z, float("-inf"))
    return z


@triton.jit
def compare(
    student,
    teacher,
    excess,
    positive,
    counts,
    listed,
    logits,
    scale,
    visible,
    n: tl.constexpr,
    pixels: tl.constexpr,
    size: tl.constexpr,
    depth: tl.constexpr,
    tile: tl.constexpr,
    unroll: tl.constexpr,
    other_groups: tl.constexpr,
    capacity: tl.constexpr,
):
    """Rows of a tile against all columns of the patch, by a running log-sum-exp.

    Writes the InfoNCE of each token (`excess`), its distance to the positive and, unless `capacity`
    is 0, the negatives within `visible` of the largest logit so far: how many (more than `capacity`
    means that some are not listed), which, and their logits.
    """
    patch = (tl.program_id(0) // (size // tile)).to(tl.int64)
    first = tl.program_id(0) % (size // tile) * tile
    i = first + tl.arange(0, tile)
    rows = student + patch * depth * size + i
    own = teacher + patch * depth * size + i
    near = tl.zeros([tile], tl.float32)
    for start in range(0, depth, unroll):
        for u in tl.static_range(unroll):  # so that many loads are under way
            c = start + u
            near += tl.abs(tl.load(rows + c * size) - tl.load(own + c * size))
    largest = tl.zeros([tile], tl.float32)  # the positive's logit, relative to itself
    mass = tl.full([tile], 1.0, tl.float32)
    count = tl.zeros([tile], tl.int32)
    for start in range(0, size, tile):
        if has_negatives(first, start, tile, pixels, other_groups):
            j = start + tl.arange(0, tile)
            columns = teacher + patch * depth * size + j
            # Relative to the positive, so that large distances cancel before they are scaled.
            z = (near[:, None] - distances(rows, columns, size, depth, tile, unroll)) * scale
            z = only_negatives(z, first, start, n, pixels, tile, other_groups)
            best = tl.max(z, axis=1)
            if tl.max(best - largest, axis=0) > -visible:
                before = largest
                largest = tl.maximum(before, best)
                mass *= tl.exp(before - largest)
                mass += tl.sum(tl.exp(z - largest[:, None]), axis=1)
                if capacity > 0:
                    # One of each row per turn, the largest first: few turns, and few registers.
                    wanted = (best > largest - visible) & (count <= capacity) & (i < n)
                    while tl.max(wanted.to(tl.int32), axis=0) > 0:
                        found = tl.min(tl.where(z == best[:, None], j[None, :], size), axis=1)
                        at = (patch * size + i) * capacity + count
                        tl.store(listed + at, found, mask=wanted & (count < capacity))
                        tl.store(logits + at, best, mask=wanted & (count < capacity))
                        count += wanted.to(tl.int32)
                        z = tl.where(j[None, :] == found[:, None], float("-inf"), z)
                        best = tl.max(z, axis=1)
                        wanted = (best > largest - visible) & (count <= capacity) & (i < n)
    at = patch * size + i
    # NaN where the positive is not finite: comparisons with NaN, above, are all false.
    tl.store(excess + at, tl.where(i < n, largest + tl.log(mass) + (near - near), 0.0))
    tl.store(positive + at, near)
    tl.store(counts + at, count)


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
