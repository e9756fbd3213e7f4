"""Receptive tokens: masks that say where a teacher's map holds what matters.

Source: Huang et al. 2023, ICLR, arXiv:2205.14589, sec. 3; hunto/MasKD@b5af34f `segmentation/losses/`.
Axes: b images, r tokens, k classes, n pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-5  # of the official code; a mask that sees almost nothing teaches almost nothing


def masks(tokens: Float[Tensor, "r k"], logits: Float[Tensor, "b k *hw"]) -> Float[Tensor, "b r n"]:
    """How much each token sees in each pixel, 0..1."""
    return (tokens @ logits.flatten(2)).sigmoid()


def masked_error(
    student: Float[Tensor, "b k h w"],
    teacher: Float[Tensor, "b k h w"],
    seen: Float[Tensor, "b r n"],
) -> Float[Tensor, ""]:
    """Half the mean over images, tokens and classes of the error that a mask sees.

    The mask counts squared in it, and once in what it is divided by, as in the official code; there a
    map is copied for every token, here the sums over pixels are products of matrices.
    """
    error = (student - teacher).flatten(2).square()
    seen_error = seen.square() @ error.mT
    return 0.5 * (seen_error / (seen.sum(2, keepdim=True) + EPSILON)).mean()


def dice(seen: Float[Tensor, "b r n"]) -> Float[Tensor, ""]:
    """How alike the masks are: the mean of Dice coefficients over images and pairs of two tokens."""
    tokens = seen.shape[1]
    products = seen @ seen.mT
    squares = products.diagonal(dim1=1, dim2=2)
    alike = 2 * products / (squares[:, :, None] + squares[:, None] + 2e-12)
    others = 1 - torch.eye(tokens, dtype=seen.dtype, device=seen.device)
    return (alike * others).sum() / (len(seen) * max(1, tokens * (tokens - 1)))
