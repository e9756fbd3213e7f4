"""Two networks agree on what each pixel is like among others: KL of softmax over cosines.

Source: Yang et al. 2022, CVPR, arXiv:2204.06986, sec. 3.2 and 3.3; winycg/CIRKD@2d8ad0f
`losses/cirkd_mini_batch.py`, `losses/cirkd_memory.py`. Axes: b images, n pixels (rows of an affinity),
m what they are compared with (columns).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from afdcd.losses.known import with_gradient

# Entries of an affinity held at once, of each network: on a CPU 4 MiB in fp32, which its caches hold; on
# a GPU 64 MiB, so that few kernels are started.
BLOCK_ELEMENTS, GPU_BLOCK_ELEMENTS = 2**20, 2**24


def affinity_kl(
    student: tuple[Float[Tensor, "n c"], Float[Tensor, "m c"]],
    teacher: tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]],
    weights: Float[Tensor, " n"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Sum over rows of weight times KL(teacher || student), in nats.

    Nothing of the size of an affinity is kept: a block of rows gives its part of value and gradient.

    Args:
        student, teacher: unit vectors (of rows, of columns). Gradients flow to the student's.
    """
    (rows, columns), shown = student, [x.detach() for x in teacher]
    seen = rows.detach(), columns.detach()
    total = rows.new_zeros(())
    to_rows = torch.empty_like(seen[0])
    to_columns = torch.zeros_like(seen[1]) if columns.requires_grad else None
    most = GPU_BLOCK_ELEMENTS if rows.is_cuda else BLOCK_ELEMENTS
    step = max(1, most // len(columns))
    for first in range(0, len(rows), step):
        some = slice(first, first + step)
        weight = weights[some]
        log_q = F.log_softmax((shown[0][some] / temperature) @ shown[1].T, dim=1)
        log_p = F.log_softmax((seen[0][some] / temperature) @ seen[1].T, dim=1)
        q = log_q.exp()
        total += weight @ torch.linalg.vecdot(q, log_q.sub_(log_p))
        away, scale = log_p.exp_().sub_(q), (weight / temperature)[:, None]
        to_rows[some] = (away @ seen[1]).mul_(scale)
        if to_columns is not None:
            to_columns += away.T @ (seen[0][some] * scale)
    if to_columns is None:
        return with_gradient(total, [rows], [to_rows])
    return with_gradient(total, [rows, columns], [to_rows, to_columns])


def among_images(
    student: Float[Tensor, "b c n"],
    teacher: Float[Tensor, "b d n"],
    pairs: Sequence[tuple[int, int, float]],
    temperature: float,
) -> Float[Tensor, ""]:
    """Sum over pairs of images of weight times the mean over the first's pixels of the KL over the second's.

    Args:
        student, teacher: of unit length along axis 1.
        pairs: (first image, second image, weight).
    """
    pixels = student.shape[2]
    terms = [
        affinity_kl(
            (student[i].T, student[j].T),
            (teacher[i].T, teacher[j].T),
            student.new_full((pixels,), weight / pixels),
            temperature,
        )
        for i, j, weight in pairs
    ]
    return torch.stack(terms).sum()
