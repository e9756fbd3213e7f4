"""Masked reconstruction: what the student hides, a projector must rebuild as the teacher's map.

Source: Yang et al. 2022 (MGD), arXiv:2205.01529, sec. 3.1, as in OSVAI/Af-DCD@5b086a7
`losses/ocmgd.py`. Axes: b images, c channels, h w rows and columns.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from afdcd.losses.precision import at_least_fp32


def keep_mask(uniform: Float[Tensor, "b 1 h w"], mask_ratio: float) -> Bool[Tensor, "b 1 h w"]:
    """Where the student's map stays; a share `mask_ratio` of the pixels is hidden.

    `uniform` holds draws from [0, 1). One that equals 1 - mask_ratio is kept, as in the source.
    """
    return uniform <= 1 - mask_ratio


def centre_mask(
    height: int, width: int, device: torch.device | None = None
) -> Bool[Tensor, "1 1 h w"]:
    """Keeps all but the middle third of the rows and columns."""
    mask = torch.ones(1, 1, height, width, dtype=torch.bool, device=device)
    mask[..., height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = False
    return mask


def reconstruction_error(
    reconstruction: Float[Tensor, "b c h w"], teacher: Float[Tensor, "b c h w"]
) -> Float[Tensor, ""]:
    """Squared error summed over channels and pixels (hidden or not), mean over images."""
    difference = at_least_fp32(reconstruction) - at_least_fp32(teacher)
    return difference.square().sum() / len(difference)
