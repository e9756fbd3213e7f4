"""Omni-contrast of Af-DCD: tokens are channel groups of pixels, compared inside small patches.

Source: Fan et al. 2023 (Af-DCD), NeurIPS, sec. 3.2, as computed by OSVAI/Af-DCD@5b086a7
`losses/ocmgd.py`. Axes: b images, c channels, h w rows and columns, p patches of all images,
n tokens of a patch (groups at pixels), d channels of a token.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from afdcd import kernels
from afdcd.losses.contrast_blocked import blocked
from afdcd.losses.patches import Negatives, check_groups, shrunken


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

    Mean over images and pixels, sum over groups. Half precision is compared, and the loss returned,
    in fp32. The distances are never held together: besides the gradient, memory does not grow with
    the patch. The teacher is a constant: it gets no gradient, and there is no second derivative.

    Raises:
        ValueError: groups does not divide the channels, or the patch not the map (see `shrink`).
    """
    _check(reconstruction, groups, patch)
    settings = {
        "groups": groups,
        "patch": patch,
        "temperature": temperature,
        "other_groups": negatives == "other_groups",
        "with_slope": torch.is_grad_enabled() and reconstruction.requires_grad,
    }
    compare = _OmniContrast.apply
    if torch.compiler.is_compiling():
        compare = torch.compiler.disable(compare)  # its kernels are compiled already
    return compare(reconstruction, teacher, settings)


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


def _check(x: Float[Tensor, "b c h w"], groups: int, patch: tuple[int, int]) -> None:
    check_groups(x.shape[1], groups)
    if x.shape[2] % patch[0] or x.shape[3] % patch[1]:
        raise ValueError(
            f"patch {patch[0]}x{patch[1]} does not tile a {x.shape[2]}x{x.shape[3]} map; "
            "shrink() it first"
        )


class _OmniContrast(torch.autograd.Function):
    """The loss is one number, so its gradient is known, up to a factor, as soon as the loss is."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, settings: dict[str, Any]) -> Tensor:
        images, _, height, width = student.shape
        pixels = images * height * width
        total, slope = _implementation(student, teacher)(student, teacher, **settings)
        ctx.save_for_backward(*([] if slope is None else [slope]))
        ctx.factor = 1 / (pixels * settings["temperature"])
        return total / pixels

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return slope * (grad_output * ctx.factor), None, None


def _implementation(student: Tensor, teacher: Tensor) -> Any:
    if kernels.runs_on(student) and kernels.runs_on(teacher):
        from afdcd.losses.contrast_triton import fused

        return fused
    return blocked
