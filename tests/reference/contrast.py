"""Omni-contrast as the authors compute it, with every distance and every negative in memory.

Written from the formula, not from their code: OSVAI/Af-DCD@5b086a7 `losses/ocmgd.py`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def official_contrast(
    reconstruction: Tensor,
    teacher: Tensor,
    *,
    groups: int,
    patch: tuple[int, int],
    pool: int,
    temperature: float,
) -> Tensor:
    """Pool, cut into patches, all L1 distances of a patch, gather the negatives of each token.

    Maps are [b, c, h, w]; the pooled map must be whole patches. Negatives are the teacher's tokens
    of other groups. Mean over images and pixels, sum over groups. Computes in the type it is given.
    """
    if pool > 1:
        reconstruction = F.max_pool2d(reconstruction, pool)
        teacher = F.max_pool2d(teacher, pool)
    images, _, height, width = reconstruction.shape
    ours, theirs = (_patches(x, groups, patch) for x in (reconstruction, teacher))
    # torch.cdist's backward pass on CUDA counts patches * n * n * d in 32 bits: with more, which is
    # from nine images on at 4*, it writes where it should not.
    most = max(1, 2**31 // (ours.shape[1] ** 2 * ours.shape[2]))
    parts = zip(ours.split(most), theirs.split(most), strict=True)
    per_token = torch.cat([_info_nce(*part, groups, temperature) for part in parts])
    per_pixel = per_token.view(images, height * width, groups).sum(dim=2)
    return per_pixel.mean()


def _info_nce(ours: Tensor, theirs: Tensor, groups: int, temperature: float) -> Tensor:
    n = ours.shape[1]
    similarity = -torch.cdist(ours, theirs, p=1.0) / temperature
    is_positive = torch.eye(n, dtype=torch.bool, device=ours.device)
    group = torch.arange(groups, device=ours.device).repeat(n // groups)
    is_negative = group[:, None] != group[None, :]
    positive = similarity[:, is_positive].unsqueeze(2)
    negative = similarity[:, is_negative].view(len(ours), n, n - n // groups)
    return torch.cat([positive, negative], dim=2).logsumexp(dim=2) - positive.squeeze(2)


def _patches(x: Tensor, groups: int, patch: tuple[int, int]) -> Tensor:
    """[b, c, h, w] to [patches, tokens, channels of a token], token = pixel * groups + group."""
    pixels = F.unfold(x, patch, stride=patch)  # [b, c * patch pixels, patches of an image]
    images, _, count = pixels.shape
    split = pixels.view(images, groups, -1, patch[0] * patch[1], count)
    return split.permute(0, 4, 3, 1, 2).reshape(images * count, -1, split.shape[2])
