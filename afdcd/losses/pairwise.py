"""Pair-wise distillation: two networks agree on which places of a map are alike.

Source: Liu et al. 2019, CVPR, arXiv:1903.04197, sec. 3.2. Axes: b images, n nodes.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from afdcd.losses.known import with_gradient
from afdcd.losses.precision import at_least_fp32, no_autocast
from afdcd.losses.units import unit

# Entries of a matrix of likenesses held at once, as in affinity.py.
BLOCK_ELEMENTS, GPU_BLOCK_ELEMENTS = 2**20, 2**24
EPSILON = 1e-8  # what SKD's own code adds to a length


def pair_wise(
    student: Float[Tensor, "b c h w"], teacher: Float[Tensor, "b d h w"]
) -> Float[Tensor, ""]:
    """Mean over images and pairs of nodes of the squared difference of cosines.

    A node is the largest of 2x2 places (at an odd border of fewer), channel by channel.
    As winycg/CIRKD@2d8ad0f `losses/skd.py`.
    """
    pooled = (F.max_pool2d(at_least_fp32(x), 2, ceil_mode=True) for x in (student, teacher))
    return _gram_difference(*(unit(x).flatten(2) for x in pooled))


def pair_wise_halves(
    student: Float[Tensor, "b c h w"], teacher: Float[Tensor, "b d h w"]
) -> Float[Tensor, ""]:
    """The same over the few nodes that SKD's own code makes: each is the largest of half the map.

    As irfanICMLL/structure_knowledge_distillation@ce208e1 `utils/criterion.py`: no gradient flows
    through the lengths, and 65 rows give three nodes. A map of one row or column is one node there.
    """
    window = [max(1, side // 2) for side in student.shape[2:]]
    pooled = [
        F.max_pool2d(at_least_fp32(x), window, window, ceil_mode=True) for x in (student, teacher)
    ]
    return _gram_difference(
        *((x / (x.detach().norm(dim=1, keepdim=True) + EPSILON)).flatten(2) for x in pooled)
    )


def _gram_difference(
    student: Float[Tensor, "b c n"], teacher: Float[Tensor, "b d n"]
) -> Float[Tensor, ""]:
    pairs = student.shape[0] * student.shape[2] ** 2
    ours, theirs = student.detach(), teacher.detach()
    total, gradient = ours.new_zeros(()), torch.zeros_like(ours)
    with no_autocast(ours):
        for image, rows in _blocks(ours.shape[0], ours.shape[2], ours.is_cuda):
            seen, shown = ours[image], theirs[image]
            difference = seen[:, :, rows].mT @ seen - shown[:, :, rows].mT @ shown
            total += difference.square().sum()
            gradient[image, :, rows] = seen @ difference.mT
    return with_gradient(total / pairs, [student], [4 / pairs * gradient])


def _blocks(images: int, nodes: int, gpu: bool) -> Iterator[tuple[slice, slice]]:
    """Whole images, or else rows of one."""
    most = GPU_BLOCK_ELEMENTS if gpu else BLOCK_ELEMENTS
    rows = max(1, min(nodes, most // nodes))
    count = max(1, most // nodes**2)
    for image in range(0, images, count):
        for row in range(0, nodes, rows):
            yield slice(image, image + count), slice(row, row + rows)
