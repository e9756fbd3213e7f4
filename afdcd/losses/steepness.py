"""How steep a critic is where it is shown something, for WGAN-GP.

Source: Gulrajani et al. 2017, NeurIPS, arXiv:1704.00028, eq. 3; `CriterionAdditionalGP` of
irfanICMLL/structure_knowledge_distillation@ce208e1 `utils/criterion.py`. Axes: b images, k classes.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from afdcd.losses.precision import no_autocast


def gradient_penalty(
    judged: Callable[[Tensor], Tensor], maps: Float[Tensor, "b k h w"]
) -> Float[Tensor, ""]:
    """Mean over images of (|d judged / d maps| - 1)^2, an image's whole gradient being one vector.

    What `judged` says is summed over images and places first, so an image's gradient holds what the
    others see of it, by a batch norm for instance. To be passed back, the gradient is derived again.
    """
    shown = maps.detach().requires_grad_()
    with torch.enable_grad(), no_autocast(shown):
        (slope,) = torch.autograd.grad(judged(shown).sum(), shown, create_graph=True)
        # Not a root of squares, of which the derivative at 0 is nan.
        return (torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1).square().mean()
