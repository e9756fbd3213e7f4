"""Tensors as a safetensors file and afdcd's loaders want them."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from afdcd.config import UserError
from afdcd.text import first_line, printable

COUNTER = "num_batches_tracked"


def made_plain(
    tensors: Mapping[str, Tensor], path: Path, size: int
) -> tuple[dict[str, Tensor], list[str]]:
    """Copies that are dense, contiguous and share nothing; and what was changed, a line each.

    Less than 32 bits become float32, which changes no value: batch norm's statistics and whatever
    is trained on are of that kind here. What is wider, and what is no float, stays.

    Args:
        size: of the file, in bytes.

    Raises:
        UserError: a tensor without values (quantised, on no device), or more than the file can hold.
    """
    for key, value in tensors.items():
        if value.is_quantized or value.is_meta or value.is_complex() or value.is_nested:
            kind = "no values" if value.is_meta else f"{value.dtype} values"
            raise UserError(f"{path}: {printable(key, 80)} has {kind}; save plain float weights")
    # A file of one number may call it a billion by a stride of 0.
    needed = sum(value.numel() * value.element_size() for value in tensors.values())
    if needed > 8 * size + (1 << 20):
        raise UserError(f"{path}: its tensors claim {needed} bytes, the file has {size}; refused")
    changes = _changes(tensors)
    try:
        plain = {key: _copy(value) for key, value in tensors.items()}
    except (RuntimeError, MemoryError) as error:
        raise UserError(f"{path}: a tensor cannot be copied: {first_line(error)}") from None
    if counters := _counters(plain):
        plain |= counters
        changes.append(f"{len(counters)} counters of PyTorch 0.4.1 and later filled in ({COUNTER})")
    return plain, changes


def _narrow(value: Tensor) -> bool:
    return value.is_floating_point() and value.element_size() < 4


def _copy(value: Tensor) -> Tensor:
    dense = value.detach() if value.layout == torch.strided else value.detach().to_dense()
    wide = dense.float() if _narrow(dense) else dense
    return wide.clone(memory_format=torch.contiguous_format)


def _changes(tensors: Mapping[str, Tensor]) -> list[str]:
    lines = []
    if narrow := [value for value in tensors.values() if _narrow(value)]:
        kinds = ", ".join(sorted({str(value.dtype).removeprefix("torch.") for value in narrow}))
        lines.append(f"{len(narrow)} tensors of {kinds} turned to float32")
    dense = [v for v in tensors.values() if v.layout == torch.strided and v.numel()]
    places = [value.data_ptr() for value in dense]
    if shared := len(places) - len(set(places)):
        lines.append(f"{shared} tied tensors given values of their own")
    return lines


def _counters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What batch norms before PyTorch 0.4.1 did not count; none where the file counts some."""
    if any(key.endswith(COUNTER) for key in tensors):
        return {}
    norms = [key.removesuffix("running_var") for key in tensors if key.endswith("running_var")]
    return {f"{norm}{COUNTER}": torch.zeros((), dtype=torch.int64) for norm in norms}


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The keys whose values are not all finite numbers."""
    return [k for k, v in tensors.items() if v.is_floating_point() and not v.isfinite().all()]
