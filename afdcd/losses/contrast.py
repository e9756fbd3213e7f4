"""Omni-contrast of Af-DCD: tokens are channel groups of pixels, compared inside small patches.

Source: Fan et al. 2023 (Af-DCD), NeurIPS, sec. 3.2, as computed by OSVAI/Af-DCD@5b086a7
`losses/ocmgd.py`. Axes: b images, c channels, h w rows and columns, p patches of all images,
n tokens of a patch (pixel-major, then group), d channels of a token.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from afdcd.losses.precision import at_least_fp32

Negatives = Literal["other_groups", "all_others"]

# Distances held at once: 64 MiB in fp32, and some four times that while one chunk is worked on.
CHUNK_ELEMENTS = 2**24


def omni_contrast(
    reconstruction: Float[Tensor, "b c h w"],
    teacher: Float[Tensor, "b c h w"],
    *,
    groups: int,
    patch: tuple[int, int],
    temperature: float,
    negatives: Negatives,
) -> Float[Tensor, ""]:
    """InfoNCE of each student token against the teacher's tokens of its patch.

    Similarity is -L1 / temperature on unnormalised features. The positive is the teacher token at
    the same pixel and group. "other_groups" (the authors' code) takes as negatives the other
    channel groups at all pixels of the patch, so that one group has none and the loss is exactly 0;
    "all_others" (the paper's figure) takes every other token of the patch. One group with
    "all_others" is the spatial design, a 1x1 patch the channel design.

    Mean over images and pixels, sum over groups.

    Raises:
        ValueError: groups does not divide the channels, or the patch not the map (see `shrink`).
    """
    _check(reconstruction, groups, patch)
    student = _tokens(at_least_fp32(reconstruction), groups, patch)
    target = _tokens(at_least_fp32(teacher), groups, patch)
    candidates = _candidates(student.shape[1], groups, negatives, student.device)
    size = max(1, CHUNK_ELEMENTS // student.shape[1] ** 2)
    pairs = list(zip(student.split(size), target.split(size), strict=True))
    if len(pairs) == 1:
        total = _info_nce(student, target, candidates, temperature)
    else:
        # Recomputed in the backward pass, so that only one chunk's distances live at a time.
        total = torch.stack(
            [
                checkpoint(
                    _info_nce,
                    *pair,
                    candidates,
                    temperature,
                    use_reentrant=False,
                    preserve_rng_state=False,
                )
                for pair in pairs
            ]
        ).sum()
    images, _, height, width = reconstruction.shape
    return total / (images * height * width)


def shrink(
    x: Float[Tensor, "b c _ _"], pool: int, patch: tuple[int, int]
) -> Float[Tensor, "b c h w"]:
    """Max-pool by `pool` (0 or 1: not at all), then cut right and bottom to whole patches.

    Raises:
        ValueError: the pooled map is smaller than one patch.
    """
    height, width = shrunken(x.shape[2], x.shape[3], pool, patch)
    pooled = F.max_pool2d(x, pool) if pool > 1 else x
    return pooled[..., :height, :width]


def shrunken(height: int, width: int, pool: int, patch: tuple[int, int]) -> tuple[int, int]:
    """The size of the map that `shrink` leaves of one of `height` x `width`.

    Raises:
        ValueError: the pooled map is smaller than one patch.
    """
    rows, columns = height // max(1, pool), width // max(1, pool)
    if rows < patch[0] or columns < patch[1]:
        raise ValueError(
            f"patch {patch[0]}x{patch[1]} does not fit the {rows}x{columns} map that pool {pool} "
            f"leaves of {height}x{width} features; lower patch or pool, or train on larger crops"
        )
    return rows - rows % patch[0], columns - columns % patch[1]


def check_groups(channels: int, groups: int) -> None:
    """Raises ValueError unless `channels` split into `groups` equal parts."""
    if channels % groups:
        divisors = [str(n) for n in (2, 4, 8, 16, 32, 64) if channels % n == 0] or ["1"]
        raise ValueError(
            f"groups {groups} does not divide the teacher's {channels} channels; "
            f"choose e.g. {', '.join(divisors)}"
        )


def _check(x: Float[Tensor, "b c h w"], groups: int, patch: tuple[int, int]) -> None:
    check_groups(x.shape[1], groups)
    if x.shape[2] % patch[0] or x.shape[3] % patch[1]:
        raise ValueError(
            f"patch {patch[0]}x{patch[1]} does not tile a {x.shape[2]}x{x.shape[3]} map; "
            "shrink() it first"
        )


def _tokens(
    x: Float[Tensor, "b c h w"], groups: int, patch: tuple[int, int]
) -> Float[Tensor, "p n d"]:
    images, channels, height, width = x.shape
    rows, columns, depth = height // patch[0], width // patch[1], channels // groups
    split = x.reshape(images, groups, depth, rows, patch[0], columns, patch[1])
    return split.permute(0, 3, 5, 4, 6, 1, 2).reshape(images * rows * columns, -1, depth)


def _candidates(
    tokens: int, groups: int, negatives: Negatives, device: torch.device
) -> Bool[Tensor, "n n"]:
    """Which teacher token (column) stands in the denominator of which student token (row)."""
    if negatives == "all_others":
        return torch.ones(tokens, tokens, dtype=torch.bool, device=device)
    group = torch.arange(tokens, device=device) % groups
    positive = torch.eye(tokens, dtype=torch.bool, device=device)
    return (group[:, None] != group) | positive


def _info_nce(
    student: Float[Tensor, "p n d"],
    teacher: Float[Tensor, "p n d"],
    candidates: Bool[Tensor, "n n"],
    temperature: float,
) -> Float[Tensor, ""]:
    similarity = torch.cdist(student, teacher, p=1.0) / -temperature
    denominator = similarity.masked_fill(~candidates, -torch.inf).logsumexp(dim=2)
    return (denominator - similarity.diagonal(dim1=1, dim2=2)).sum()
