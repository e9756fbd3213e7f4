"""Which device a network runs on, and whether its memory was too small."""

import torch

from afdcd.config import UserError
from afdcd.text import first_line


def choose_device(name: str | None) -> torch.device:
    """The named device (`cpu`, `cuda`, `cuda:1`), or by default the GPU if there is one.

    Raises:
        UserError: no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("no device for networks")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"--device {name}: {first_line(error)}; use cpu, cuda or cuda:1") from None
    return device


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or this machine, had too little memory for what was asked.

    PyTorch has a class of its own for that on a GPU alone; on the CPU its allocator raises a plain
    RuntimeError.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
