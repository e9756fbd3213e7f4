"""Intra-class feature variation: how alike each pixel is to the mean of its class.

Source: Wang et al. 2020, ECCV, arXiv:2009.13169, sec. 3; YukangWang/IFVD@950a7a5 and, the same,
winycg/CIRKD@2d8ad0f `losses/ifvd.py`. Axes: b images, k classes, n pixels.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from afdcd.losses.precision import at_least_fp32, no_autocast
from afdcd.losses.units import unit


def class_likeness(
    feature: Float[Tensor, "b c h w"],
    labels: Int[Tensor, "b h w"],
    classes: int,
    *,
    official: bool = False,
) -> Float[Tensor, "b n"]:
    """Cosine of each pixel's feature and its class's mean over the image; 1 where the label is no class.

    A feature that is all zeros has cosine 0. The official code takes a pixel without a class as its own
    mean, so there too.
    """
    feature, labels = at_least_fp32(feature).flatten(2), labels.flatten(1)
    member = labels[:, :, None] == torch.arange(classes, device=labels.device)
    # The length of a mean does not matter to a cosine, so the sum will do.
    with no_autocast(feature):
        centres, directions = unit(feature @ member.to(feature.dtype)), unit(feature)
        cosines = centres.mT @ directions
    own = cosines.gather(1, labels.clamp(min=0)[:, None])[:, 0]
    with_itself = directions.square().sum(1) if official else torch.ones_like(own)
    return torch.where(labels < 0, with_itself, own)
