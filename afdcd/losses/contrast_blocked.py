"""Omni-contrast on any device, in blocks: memory depends on the block, not on patch or batch.

A block is some rows of some patches: its distances, their softmax and its part of the gradient are
computed in one go and forgotten. Axes as in `contrast`; r rows of a block, k patches of a block.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from afdcd.losses.precision import at_least_fp32

# Distances held at once: 1 MiB in fp32, so that the passes over them stay in a core's cache.
BLOCK_ELEMENTS = 2**18
# Features converted to tokens at once: 16 MiB in fp32.
PIECE_ELEMENTS = 2**22


def blocked(
    student: Float[Tensor, "b c h w"],
    teacher: Float[Tensor, "b c h w"],
    *,
    groups: int,
    patch: tuple[int, int],
    temperature: float,
    other_groups: bool,
    with_slope: bool,
) -> tuple[Float[Tensor, ""], Float[Tensor, "b c h w"] | None]:
    """The sum of the InfoNCE over all tokens and, `with_slope`, its slope.

    The slope is `temperature` times the gradient with respect to the student. It lies in [-2, 2]
    whatever the temperature and the size of the map, so that half precision can hold it; it has
    the type and the memory format of the student.
    """
    total = at_least_fp32(student.new_zeros(()))
    slope = torch.empty_like(student) if with_slope else None
    for images, rows in pieces(student.shape, patch, PIECE_ELEMENTS):
        part = (images, slice(None), rows)
        source = _tokens(student[part], groups, patch)
        ours = at_least_fp32(source).flatten(0, 2).flatten(1, 3)
        theirs = at_least_fp32(_tokens(teacher[part], groups, patch)).flatten(0, 2).flatten(1, 3)
        out = torch.empty_like(ours) if with_slope else None
        total += _sum_over_blocks(ours, theirs, out, groups if other_groups else 0, temperature)
        if slope is not None and out is not None:
            _tokens(slope[part], groups, patch).copy_(out.view(source.shape))
    return total, slope


def pieces(
    shape: torch.Size, patch: tuple[int, int], elements: int
) -> Iterator[tuple[slice, slice]]:
    """Slices (images, rows) of a map b c h w: whole images, or else whole rows of patches.

    Each has at most `elements` elements, or one row of patches.
    """
    images, channels, height, width = shape
    rows = max(1, min(height, elements // (channels * width)) // patch[0]) * patch[0]
    count = max(1, elements // (channels * height * width))
    for image in range(0, images, count):
        for row in range(0, height, rows):
            yield slice(image, image + count), slice(row, row + rows)


def _tokens(
    x: Float[Tensor, "b c h w"], groups: int, patch: tuple[int, int]
) -> Float[Tensor, "b down across y x groups d"]:
    """A view: (b, down, across) is the patch, (y, x, group) its token."""
    split = x.unflatten(3, (-1, patch[1])).unflatten(2, (-1, patch[0])).unflatten(1, (groups, -1))
    return split.permute(0, 3, 5, 4, 6, 1, 2)


def _sum_over_blocks(
    student: Float[Tensor, "p n d"],
    teacher: Float[Tensor, "p n d"],
    slope: Float[Tensor, "p n d"] | None,
    groups: int,
    temperature: float,
) -> Float[Tensor, ""]:
    """Sum of the InfoNCE; writes the slope. `groups` 0: every token is a candidate."""
    patches, n, _ = student.shape
    rows = min(n, max(1, BLOCK_ELEMENTS // n))
    count = max(1, BLOCK_ELEMENTS // (rows * n))
    total = student.new_zeros(())
    for row in range(0, n, rows):
        block = slice(row, row + rows)
        excluded = _excluded(row, min(rows, n - row), n, groups, student.device) if groups else None
        for k in range(0, patches, count):
            some = slice(k, k + count)
            into = None if slope is None else slope[some, block]
            total += _block(student[some, block], teacher[some], row, excluded, temperature, into)
    return total


def _excluded(
    first: int, rows: int, n: int, groups: int, device: torch.device
) -> Bool[Tensor, "r n"]:
    """Teacher tokens (columns) of the group of the student's (rows from `first`), its own aside."""
    token = torch.arange(n, device=device)
    row = token[first : first + rows, None]
    return (row % groups == token % groups) & (row != token)


def _block(
    student: Float[Tensor, "k r d"],
    teacher: Float[Tensor, "k n d"],
    first: int,
    excluded: Bool[Tensor, "r n"] | None,
    temperature: float,
    slope: Float[Tensor, "k r d"] | None,
) -> Float[Tensor, ""]:
    distances = torch.cdist(student, teacher, p=1.0)
    # Relative to the positive, so that large distances cancel before they are scaled.
    positive = distances.diagonal(offset=first, dim1=1, dim2=2)
    logits = (positive[:, :, None] - distances).div_(temperature)
    if excluded is not None:
        logits.masked_fill_(excluded, -torch.inf)
    largest = logits.amax(dim=2, keepdim=True)
    weights = logits.sub_(largest).exp_()
    mass = weights.sum(dim=2, keepdim=True)
    if slope is not None:
        weights.div_(mass).diagonal(offset=first, dim1=1, dim2=2).sub_(1)
        # The operator behind the derivative of cdist: a graph of our own, inside the forward pass,
        # would fall into the hooks of a caller that checkpoints it.
        slope.copy_(
            torch.ops.aten._cdist_backward(weights.neg_(), student, teacher, 1.0, distances)
        )
    return (largest + mass.log()).sum()
