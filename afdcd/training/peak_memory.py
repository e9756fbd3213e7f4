"""How much memory a call needs at its peak."""

import gc
import os
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

GPU_METHOD = "torch.cuda.max_memory_allocated"
CPU_METHOD = "tensors alive at once (without the scratch space inside an operator)"


def memory_method(device: torch.device) -> str:
    return GPU_METHOD if device.type == "cuda" else CPU_METHOD


def available_bytes() -> int:
    """Of the host's memory: asking for more ends the process instead of raising."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(
    call: Callable[[], object],
    device: torch.device,
    *,
    settle: Callable[[], object] = lambda: None,
) -> int | None:
    """The most that is held at once during `call`, beyond what was held before `settle`.

    What `settle` leaves counts, its own peak does not. None if one of the two does not fit.
    """
    try:
        peak = _cuda_peak if device.type == "cuda" else _cpu_peak
        return peak(call, settle)
    except torch.OutOfMemoryError:
        return None
    except RuntimeError as error:
        if "DefaultCPUAllocator" not in str(error):
            raise
        return None


def _cuda_peak(call: Callable[[], object], settle: Callable[[], object]) -> int:
    gc.collect()  # what only a cycle holds would be freed at any moment
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    settle()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _cpu_peak(call: Callable[[], object], settle: Callable[[], object]) -> int:
    with LiveStorage() as live:
        settle()
        live.peak = live.total
        call()
    return live.peak


class LiveStorage(TorchDispatchMode):
    """Bytes of the storages that operators made under this mode and that are still alive.

    Attributes:
        total, peak: now, and the most at any time since `peak` was last set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = self.peak = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if all(given.alias_info is None for given in function._schema.returns):  # no view
            for tensor in result if isinstance(result, tuple | list) else (result,):
                if isinstance(tensor, torch.Tensor) and not tensor.is_meta:
                    self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return
        self._alive[key] = size
        self.total += size
        self.peak = max(self.peak, self.total)
        weakref.finalize(storage, partial(self._forget, key))

    def _forget(self, key: int) -> None:
        self.total -= self._alive.pop(key)
