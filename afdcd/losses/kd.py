"""Logits KD: every student pixel imitates the teacher's class distribution.

Source: Hinton et al. 2015, arXiv:1503.02531, sec. 2, applied to each pixel as in
OSVAI/Af-DCD@5b086a7 `losses/kd.py`. Axes: b images, k classes, h w rows and columns.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from afdcd.losses.precision import at_least_fp32


def pixel_kl(
    student: Float[Tensor, "b k h w"], teacher: Float[Tensor, "b k h w"], temperature: float
) -> Float[Tensor, ""]:
    """Mean over pixels of KL(teacher || student), in nats, times T^2.

    T^2 cancels the 1/T^2 that softening puts on the gradient, so that a weight keeps its meaning
    when the temperature moves.
    """
    log_p = F.log_softmax(at_least_fp32(student) / temperature, dim=1)
    log_q = F.log_softmax(at_least_fp32(teacher) / temperature, dim=1)
    kl = F.kl_div(log_p, log_q, reduction="none", log_target=True).sum(dim=1)
    return temperature**2 * kl.mean()
