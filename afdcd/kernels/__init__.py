"""Triton kernels, each with the function that launches it; the mathematics is where they are called.

Import these modules on need: Triton takes a second to import, and some platforms have none.
"""

import logging
import shutil
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from afdcd.environment import c_compiler


def runs_on(x: Tensor) -> bool:
    """Whether kernels, which compute in fp32, can work on `x`."""
    return x.is_cuda and x.dtype != torch.float64 and available()


@cache
def available() -> bool:
    """Whether there is Triton, and the C compiler with which it builds what launches a kernel."""
    if find_spec("triton") is None:
        return False
    if c_compiler() or shutil.which("gcc") or shutil.which("clang"):
        return True
    logging.getLogger(__name__).warning(
        "no C compiler: kernels are left out and training is slower; install gcc or set CC"
    )
    return False
