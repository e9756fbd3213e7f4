"""Triton kernels, each with the function that launches it; the mathematics is where they are called.

Of float32, bfloat16 and float16 on a GPU; whatever else there is goes the way of plain torch.
"""

import torch
from torch import Tensor

try:
    import triton
except ImportError:  # torch's CUDA builds bring it
    triton = None


def runs_on(x: Tensor) -> bool:
    """Whether a kernel can work on `x`."""
    return triton is not None and x.is_cuda and x.dtype != torch.float64
