"""Softmax and distance arithmetic never runs in half precision, autocast or not."""

import torch
from jaxtyping import Float
from torch import Tensor


def at_least_fp32(x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    return x if x.dtype == torch.float64 else x.float()


def no_autocast(x: Float[Tensor, "*any"]) -> torch.autocast:
    """A context in which products of matrices have the type of their inputs."""
    return torch.autocast(x.device.type, enabled=False)


def as_autocast(x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """In the dtype in which a convolution would run here: autocast's where that is on."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x
