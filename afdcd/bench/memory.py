"""How much memory a call needs at its peak."""

import gc
import os
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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
    gc.collect()
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
        gc.collect()
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
        given = {_storage_key(leaf) for leaf in tree_leaves((args, kwargs)) if _is_dense(leaf)}
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if _is_dense(leaf) and _storage_key(leaf) not in given:
                self._count(leaf.untyped_storage())
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


def _is_dense(leaf: Any) -> bool:
    if not isinstance(leaf, torch.Tensor) or leaf.is_meta:
        return False
    return leaf.layout == torch.strided


def _storage_key(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata
