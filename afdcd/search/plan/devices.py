"""Where a study would run: kinds of GPU and what they sustain, and this machine.

Speeds are half of the data sheets' dense bf16 peak, which is what a step of DeepLabV3-R101 to -R18 takes of
one H200 (docs/performance.md), and of a core what one of an AMD EPYC gave. Only these two were measured, so
the others' interval is wider.
"""

import os
import re
from dataclasses import dataclass

from afdcd.config import UserError
from afdcd.training.resources import ResourcesConfig

GIB = 2**30
CONTEXT = 0.7 * GIB  # of CUDA, cuDNN and what the allocator cannot use
_CLUSTER = re.compile(r"(?:(\d+)x)?([A-Za-z][A-Za-z0-9-]*)")


@dataclass(frozen=True)
class Device:
    """One kind of device.

    Attributes:
        memory: bytes of each; of a CPU, the host's.
        flops: floating-point operations a second that convolutions sustain.
        bandwidth: bytes a second.
        differences: |s - t| a second in the contrast, which no tensor core computes.
        spread: factors of a reckoned time within which the true one lies.
    """

    name: str
    memory: float
    flops: float
    bandwidth: float
    differences: float
    spread: tuple[float, float] = (0.4, 3.0)

    @property
    def is_gpu(self) -> bool:
        return self.name != "CPU"


def _gpu(
    name: str, gib: int, peak: float, bandwidth: float, spread: tuple[float, float] = (0.4, 3.0)
) -> Device:
    """`peak` in 10^12 operations, `bandwidth` in 10^12 bytes a second."""
    flops = peak / 2 * 1e12
    return Device(name, gib * GIB, flops, bandwidth * 1e12, flops / 40, spread)


GPUS = {
    gpu.name.lower(): gpu
    for gpu in (
        _gpu("B200", 180, 2250, 8.0),
        _gpu("H200", 140, 989, 4.8, (0.6, 2.0)),
        _gpu("H100", 80, 989, 3.35),
        _gpu("A100-80", 80, 312, 2.0),
        _gpu("A100-40", 40, 312, 1.55),
        _gpu("L40S", 48, 362, 0.86),
        _gpu("L4", 23, 121, 0.3),
        _gpu("A10G", 23, 70, 0.6),
        _gpu("RTX4090", 24, 165, 1.0),
        _gpu("RTX3090", 24, 71, 0.94),
    )
}
UNKNOWN = _gpu("GPU", 0, 200, 1.0, (0.1, 10.0))


def cpu(memory: float) -> Device:
    """One core."""
    return Device("CPU", memory, 4e10, 8e9, 4e9, (0.4, 4.0))


@dataclass(frozen=True)
class Machine:
    """The devices of a cluster; runs are placed as if all stood on one node.

    Attributes:
        device: what a worker takes one of, or a core.
        count: GPUs, or cores where there are none.
        named: a person named it; else it is this one, where a CPU may be no more than where a file for
            GPUs is written.
    """

    device: Device
    count: int
    named: bool = False

    def __str__(self) -> str:
        where = "" if self.named else ", this machine"
        return f"{self.count} x {self.device.name}{where}"

    @property
    def is_meant(self) -> bool:
        """Whether a run would really run on it, so that what it cannot hold is refused."""
        return self.named or self.device.is_gpu

    def at_once(self, resources: ResourcesConfig, most: int | None = None) -> int:
        """How many runs it holds at the same time; 0: not one."""
        each = 1.0 if self.device.is_gpu else resources.cpus
        return min(int(self.count / each) // resources.workers, most or self.count)


def machine_of(text: str) -> Machine:
    """`8xH100`, `A100-80`, `64xCPU`.

    Raises:
        UserError: no such kind.
    """
    found = _CLUSTER.fullmatch(text)
    count, kind = (int(found[1] or 1), found[2].lower()) if found else (0, "")
    device = cpu(0.0) if kind == "cpu" else GPUS.get(kind)
    if not count or device is None:
        known = ", ".join(gpu.name for gpu in GPUS.values())
        raise UserError(f"--cluster {text}: write COUNTxKIND, e.g. 8xH100; known: {known}, CPU")
    return Machine(device, count, named=True)


def fitting(machine: Machine, resources: ResourcesConfig) -> Machine:
    """The machine as runs with these resources use it.

    Raises:
        UserError: they ask for what it does not have.
    """
    if resources.device == "cpu" and machine.device.is_gpu:
        if machine.named:
            raise UserError(
                f"resources.device: cpu, but --cluster names GPUs: write --cluster {machine.count}xCPU"
            )
        return _this_cpu()
    if resources.device == "gpu" and not machine.device.is_gpu:
        raise UserError(
            f"resources.device: gpu, but {machine} has none: name it, e.g. --cluster 8xH100"
        )
    return machine


def this_machine() -> Machine:
    import torch

    if torch.cuda.is_available():
        seen = torch.cuda.get_device_properties(0)
        return Machine(gpu_named(seen.name, seen.total_memory), torch.cuda.device_count())
    return _this_cpu()


def _this_cpu() -> Machine:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(cpu(memory), len(os.sched_getaffinity(0)))


def gpu_named(name: str, memory: float) -> Device:
    """The kind that a driver calls so, e.g. `NVIDIA A100-SXM4-80GB`; its memory as it says."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    kinds = [g for g in GPUS.values() if g.name.lower().partition("-")[0] in plain]
    kinds.sort(key=lambda gpu: (-len(gpu.name.partition("-")[0]), abs(gpu.memory - memory)))
    known = kinds[0] if kinds else UNKNOWN
    return Device(name, memory, known.flops, known.bandwidth, known.differences, known.spread)
