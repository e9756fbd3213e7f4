"""Directions of vectors. One that is all zeros, as after a ReLU, has none and stays zero.

`F.normalize` divides it by 1e-12 instead: the value is the same, but its gradient is 10^12 times the
others', which only a ReLU right before it hides.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from afdcd.losses.precision import at_least_fp32

SHORTEST = 1e-8  # below this length a vector has no direction


def unit(x: Float[Tensor, "b c *any"]) -> Float[Tensor, "b c *any"]:
    """Each vector along axis 1 with length 1, in fp32 at least; too short ones are 0 and take no gradient."""
    x = at_least_fp32(x)
    square = x.square().sum(dim=1, keepdim=True)
    short = square < SHORTEST**2
    length = torch.where(short, 1.0, square).sqrt()
    return torch.where(short, 0.0, x / length)
