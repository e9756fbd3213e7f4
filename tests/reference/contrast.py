"""The contrast as OSVAI/Af-DCD@5b086a7 `losses/ocmgd.py` computes it: L1 distances, boolean gather.

Axes: b images, c channels, h w rows and columns, p patches of all images, n tokens of a patch.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def official_contrast(
    reconstruction: Float[Tensor, "b c h w"],
    teacher: Float[Tensor, "b c h w"],
    *,
    groups: int,
    patch: tuple[int, int],
    pool: int,
    temperature: float,
) -> Float[Tensor, ""]:
    """Mean over images and pixels, sum over groups; negatives are the teacher's other groups."""
    if pool:
        reconstruction, teacher = (F.max_pool2d(x, pool) for x in (reconstruction, teacher))
    student, target = _tokens(reconstruction, groups, patch), _tokens(teacher, groups, patch)
    similarity = -torch.cdist(student, target, p=1.0) / temperature
    tokens = student.shape[1]
    group = torch.arange(tokens, device=student.device) % groups
    positives = torch.eye(tokens, dtype=torch.bool, device=student.device)
    negatives = group[:, None] != group
    positive = similarity[:, positives].view(-1, tokens, 1)
    negative = similarity[:, negatives].view(len(similarity), tokens, -1)
    every = torch.cat([positive, negative], dim=2)
    pixels = reconstruction.shape[0] * reconstruction.shape[2] * reconstruction.shape[3]
    return (every.logsumexp(dim=2) - positive[..., 0]).sum() / pixels


def _tokens(
    x: Float[Tensor, "b c h w"], groups: int, patch: tuple[int, int]
) -> Float[Tensor, "p n d"]:
    b, c, h, w = x.shape
    split = x.view(b, groups, c // groups, h // patch[0], patch[0], w // patch[1], patch[1])
    tokens = split.permute(0, 3, 5, 4, 6, 1, 2)
    return tokens.reshape(-1, patch[0] * patch[1] * groups, c // groups)
