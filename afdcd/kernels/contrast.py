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
