"""The rivals' terms as their official code computes them, with everything they hold in memory.

Written from the formulas, not from their code: winycg/CIRKD@2d8ad0f (SKD, IFVD, CWD, CIRKD) and
hunto/MasKD@b5af34f. Maps are [b, c, h, w], labels [b, h, w] on the grid of the map, -1 where ignored.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def official_pair(student: Tensor, teacher: Tensor) -> Tensor:
    """SKD: mean squared difference of two matrices of cosines of 2x2 cells."""
    grams = []
    for x in (student, teacher):
        nodes = F.normalize(F.max_pool2d(x, 2, ceil_mode=True), dim=1).flatten(2)
        grams.append(nodes.mT @ nodes)
    return (grams[0] - grams[1]).square().mean()


def official_variation(student: Tensor, teacher: Tensor, labels: Tensor, classes: int) -> Tensor:
    """IFVD: a loop over classes, each with maps of its own."""
    cosines = []
    for x in (student, teacher):
        centres = x.clone()
        for k in range(classes):
            mask = (labels == k)[:, None].to(x.dtype)
            mean = (mask * x).sum((2, 3)) / (mask.sum((2, 3)) + 1e-6)
            centres = (1 - mask) * centres + mask * mean[:, :, None, None]
        cosines.append(F.cosine_similarity(x, centres, dim=1))
    return (cosines[0] - cosines[1]).square().mean()


def official_channels(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """CWD: softmax over places and its logarithm."""
    p, q = ((x.flatten(2) / temperature).softmax(2) for x in (student, teacher))
    kl = (q * (q.log() - p.log())).sum()
    return temperature**2 * kl / (student.shape[0] * student.shape[1])


def official_minibatch(student: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """CIRKD: the whole affinity of every ordered pair of images."""
    ours, theirs = (F.normalize(x, dim=1).flatten(2) for x in (student, teacher))
    total = student.new_zeros(())
    for i in range(len(student)):
        for j in range(len(student)):
            log_p = (ours[i].T @ ours[j] / tau).log_softmax(1)
            q = (theirs[i].T @ theirs[j] / tau).softmax(1)
            total = total + F.kl_div(log_p, q, reduction="batchmean")
    return total / len(student) ** 2


def official_memory(student: Tensor, teacher: Tensor, queue: Tensor, tau: float) -> Tensor:
    """CIRKD: every pixel (of unit length) with all that is drawn from a queue [m, c]."""
    ours, theirs = (x.flatten(2).mT.flatten(0, 1) for x in (student, teacher))
    log_p, q = (ours @ queue.T / tau).log_softmax(1), (theirs @ queue.T / tau).softmax(1)
    return F.kl_div(log_p, q, reduction="batchmean")


def official_masked(student: Tensor, teacher: Tensor, tokens: Tensor) -> Tensor:
    """MasKD: the error once for every token."""
    masks = torch.einsum("rk,bkhw->brhw", tokens, teacher).sigmoid().unsqueeze(2)
    error = ((student.unsqueeze(1) * masks) - (teacher.unsqueeze(1) * masks)).square()
    sizes = masks.sum((3, 4)) + 1e-5
    return 0.5 * (error.sum((3, 4)) / sizes).mean()
