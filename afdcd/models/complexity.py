"""The size of a network and the work of one forward pass."""

import torch
from torch import nn

from afdcd.models.zoo import SegmentationNetwork


def parameters(network: nn.Module) -> int:
    """All parameters, the auxiliary head's included, as the CIRKD family of papers counts them."""
    return sum(parameter.numel() for parameter in network.parameters())


def gmacs(network: SegmentationNetwork, height: int, width: int) -> float:
    """10^9 multiply-accumulates of the convolutions and matrix products for one image.

    In eval mode, so without the auxiliary head; normalisation, pooling and resizing do not count.
    True output sizes: the counter behind the CIRKD family's figures ignores dilation and adds the
    auxiliary head, up to 21 % more. Runs on the meta device: no memory, no arithmetic.
    """
    from torch.utils.flop_counter import FlopCounterMode  # which imports Triton

    with torch.device("meta"):
        twin = network.config.updated(pretrained=None).build(network.classes).eval()
        images = torch.empty(1, 3, height, width)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        twin(images)
    return counter.get_total_flops() / 2e9
