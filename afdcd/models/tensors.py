"""Reading tensors from files: safetensors only, and every defect told in one line."""

import contextlib
import os
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from afdcd.config import UserError

# A zip archive, and a pickle of protocol 2 to 5: the two forms of torch.save.
_PICKLE_MAGIC = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file on the CPU, and the metadata in its header.

    Raises:
        UserError: no such file, a pickle, cut short, or no safetensors file at all.
    """
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def read_metadata(path: Path) -> dict[str, str]:
    """What the header of a safetensors file says, without its tensors; raises as `read_tensors`."""
    with _opened(path) as file:
        return file.metadata() or {}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; give a .safetensors file"
        ) from None
    try:
        with safe_open(path, framework="pt") as tensors:
            yield tensors
    except SafetensorError as error:
        raise UserError(f"{path}: {_defect(error, magic, path)}") from None


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """A safetensors file that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        save_file(dict(tensors), partial, metadata=metadata and dict(metadata))
        partial.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def _defect(error: SafetensorError, magic: bytes, path: Path) -> str:
    # Asked only now: a good file begins with the length of its header, which may look so too.
    if magic.startswith(_PICKLE_MAGIC):
        return (
            "a pickled checkpoint, never loaded because it may run code; convert it once: "
            f"afdcd convert {shlex.quote(str(path))} --out t.safetensors"
        )
    text = str(error)
    if "incomplete metadata" in text or "MetadataIncompleteBuffer" in text:
        return "cut short (the header promises more bytes); copy or download the file again"
    return f"not a safetensors file ({text}); give a .safetensors file of weights"


def assign(module: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy `tensors` into `module`, all of them and nothing else.

    Raises:
        UserError: keys missing or left over, or other shapes; `module` is then unchanged.
    """
    ours = module.state_dict()
    missing, extra = ours.keys() - tensors.keys(), tensors.keys() - ours.keys()
    if missing or extra:
        raise UserError(
            f"{source}: holds another network's weights: {_some(missing)} missing, "
            f"{_some(extra)} not known; check model.head, model.encoder and model.aux"
        )
    wrong = [
        f"{key} is {list(tensors[key].shape)}, needs {list(ours[key].shape)}"
        for key in ours
        if tensors[key].shape != ours[key].shape
    ]
    if wrong:
        raise UserError(
            f"{source}: {len(wrong)} of {len(ours)} shapes differ: {'; '.join(wrong[:3])}; "
            "check the number of classes, model.encoder and model.head_width"
        )
    module.load_state_dict(tensors)


def _some(keys: Collection[str]) -> str:
    shown = ", ".join(sorted(keys)[:3])
    return f"{len(keys)} keys ({shown}{', ...' if len(keys) > 3 else ''})" if keys else "0 keys"
