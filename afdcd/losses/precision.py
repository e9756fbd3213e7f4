"""Softmax and distance arithmetic never runs in half precision, autocast or not."""

import torch
from jaxtyping import Float
from torch import Tensor


def at_least_fp32(x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    return x if x.dtype == torch.float64 else x.float()
