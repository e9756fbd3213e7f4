"""Channel-wise distillation: each channel is a distribution over the places of a map.

Source: Shu et al. 2021, ICCV, arXiv:2011.13256, sec. 3.2; irfanICMLL/TorchDistiller@78bac7c
`SemSeg-distill/utils/criterion.py`.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from afdcd.losses.precision import at_least_fp32


def channel_kl(
    student: Float[Tensor, "b c h w"], teacher: Float[Tensor, "b c h w"], temperature: float
) -> Float[Tensor, ""]:
    """Mean over images and channels of KL(teacher || student) over places, in nats, times T^2.

    With log-softmax: the official softmax and then logarithm is inf or nan once a channel spreads by
    more than about 100 T in fp32.
    """
    log_p = F.log_softmax(at_least_fp32(student).flatten(2) / temperature, dim=2)
    log_q = F.log_softmax(at_least_fp32(teacher).flatten(2) / temperature, dim=2)
    kl = F.kl_div(log_p, log_q, reduction="none", log_target=True).sum(dim=2)
    return temperature**2 * kl.mean()
