"""Triton kernels, each with the function that launches it; the mathematics is where they are called.

Import these modules on need: Triton takes a second to import, and some platforms have none.
"""

from importlib.util import find_spec

import torch
from torch import Tensor


def runs_on(x: Tensor) -> bool:
    """Whether kernels, which compute in fp32, can work on `x`."""
    return x.is_cuda and x.dtype != torch.float64 and find_spec("triton") is not None
