"""Which device a network runs on."""

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
