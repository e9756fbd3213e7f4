"""Masked reconstruction: what the student hides, a projector must rebuild as the teacher's map.

Source: Yang et al. 2022 (MGD), arXiv:2205.01529, sec. 3.1, as in OSVAI/Af-DCD@5b086a7
`losses/ocmgd.py`. Axes: b images, c channels, h w rows and columns.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

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
    """Squared error summed over channels and pixels (hidden or not), mean over images.

    Summed in fp32 at least. The teacher is a constant: it gets no gradient.
    """
    total: Tensor = _SquaredError.apply(reconstruction, teacher)
    return total / len(reconstruction)


class _SquaredError(torch.autograd.Function):
    """Image by image: of half precision maps, no copy in fp32 is held that a map is long."""

    @staticmethod
    def forward(ctx: Any, reconstruction: Tensor, teacher: Tensor) -> Tensor:
        ctx.save_for_backward(reconstruction, teacher)
        errors = [
            _difference(*pair).square_().sum() for pair in zip(reconstruction, teacher, strict=True)
        ]
        return torch.stack(errors).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:
        reconstruction, teacher = ctx.saved_tensors
        gradient = torch.empty_like(reconstruction)
        for result, *pair in zip(gradient, reconstruction, teacher, strict=True):
            result.copy_(_difference(*pair).mul_(2 * outer))
        return gradient, None


def _difference(
    reconstruction: Float[Tensor, "c h w"], teacher: Float[Tensor, "c h w"]
) -> Float[Tensor, "c h w"]:
    return at_least_fp32(reconstruction) - at_least_fp32(teacher)
