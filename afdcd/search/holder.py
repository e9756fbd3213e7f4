"""Processes that hold something, told apart over machines, restarts and containers."""

import os
import platform
import uuid
from pathlib import Path

import psutil


def name() -> str:
    """This process as people know it."""
    return f"{platform.node()} (process {os.getpid()})"


def identity() -> str:
    """One hold by this process: no other one, on any machine, before or later, is called the same."""
    began = psutil.Process().create_time()
    return f"{_machine()} {os.getpid()} {began:.2f} {uuid.uuid4().hex[:8]}"


def has_ended(process: str) -> bool:
    """Whether it was a process of this machine that is gone; of others nothing is known."""
    machine, pid, began, _ = process.split(" ")
    if machine != _machine():
        return False
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" != began
    except psutil.NoSuchProcess:
        return True


def runs_here(process: str) -> bool:
    """Whether it is a living process of this machine."""
    return process.startswith(_machine()) and not has_ended(process)


def _machine() -> str:
    """The machine since it was started, and which of its processes can be seen from here."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
