"""Processes that hold something, told apart over machines, restarts and containers."""

import os
import platform
import uuid
from pathlib import Path


def name() -> str:
    """This process as people know it."""
    return f"{platform.node()} (process {os.getpid()})"


def identity() -> str:
    """One hold by this process: no other one, on any machine, before or later, is called the same."""
    return f"{_machine()} {os.getpid()} {_began(os.getpid())} {uuid.uuid4().hex[:8]}"


def has_ended(process: str) -> bool:
    """Whether it was a process of this machine that is gone; of others nothing is known."""
    machine, pid, began, _ = process.split(" ")
    if machine != _machine():
        return False
    try:
        return _began(int(pid)) != began
    except OSError:
        return True


def runs_here(process: str) -> bool:
    """Whether it is a living process of this machine."""
    return process.startswith(_machine()) and not has_ended(process)


def _began(pid: int) -> str:
    """Ticks from the machine's start to the process's; a date would move with the machine's clock.

    Raises:
        OSError: there is no such process.
    """
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def _machine() -> str:
    """The machine since it was started, and which of its processes can be seen from here."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
