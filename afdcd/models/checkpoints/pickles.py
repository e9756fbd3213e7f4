"""Reading what torch.save wrote: by its restricted loader alone, which runs nothing of a file."""

import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from afdcd.config import UserError
from afdcd.text import first_line, printable

_LEGACY_PICKLES = 5  # magic number, protocol, sizes, content, keys of the storages
_OWN = "where you trust it and its code runs, write the weights alone: torch.save("
_LOADED = "torch.load(FILE, weights_only=False)['state_dict'], 'w.pth')"
_REMEDIES = (
    (
        ("mmengine.", "mmcv.", "mmseg.", "mmdet."),
        "strip it with mmsegmentation's tools/model_converters/publish_model.py, or "
        f"{_OWN}{_LOADED}",
    ),
    (("ultralytics.",), "afdcd does not build networks of Ultralytics"),
    (
        (
            "torch.nn.",
            "torchvision.",
            "timm.",
            "segmentation_models_pytorch.",
            "__main__.",
            "models.",
        ),
        f"a whole network was pickled; {_OWN}network.state_dict(), 'w.pth')",
    ),
    (("pytorch_lightning.", "lightning.", "numpy.", "omegaconf."), f"{_OWN}{_LOADED}"),
)


def load(path: Path) -> object:
    """The content of a checkpoint, all tensors on the CPU.

    Raises:
        UserError: it would import something, with the names; or it is damaged.
    """
    try:
        # An open file: for a path, torch.load chooses another reader by the name's ending.
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes it raise nearly anything
        raise UserError(f"{path}: {_refusal(path, error)}") from None


def _refusal(path: Path, error: Exception) -> str:
    if names := foreign_names(path):
        return (
            f"refused, nothing of it was run: loading it would import {some_names(names)}; "
            f"{remedy(names)}"
        )
    if "Unsupported operand" in str(error) and (protocol := _protocol(path)) > 2:
        return f"pickled by protocol {protocol}, which may run code; save it by torch.save's own, 2"
    told = re.search(r"WeightsUnpickler error: (.*)", str(error))
    reason = printable(told[1] if told else first_line(error), 120)
    said = f" ({reason})" if len(reason) > 3 else ""  # often but a number, or nothing
    return f"damaged or cut short{said}; copy or download it again"


def foreign_names(path: Path) -> list[str]:
    """What a file's pickles would import beyond what the restricted loader allows; nothing is run."""
    try:
        with _pickles(path) as stream:
            named = set(_imports(stream))
    except Exception:  # what cannot be read names nothing
        return []
    return _refused_by_torch(named)


def some_names(names: Collection[str]) -> str:
    shown = ", ".join(printable(name, 80) for name in list(names)[:4])
    return f"{shown}, ... ({len(names)} names)" if len(names) > 4 else shown


def remedy(names: Collection[str]) -> str:
    for beginnings, told in _REMEDIES:
        if any(name.startswith(beginnings) for name in names):
            return told
    return f"{_OWN}network.state_dict(), 'w.pth')"


def _pickles(path: Path) -> IO[bytes]:
    if not zipfile.is_zipfile(path):
        return path.open("rb")
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return io.BytesIO(archive.read(name))


def _protocol(path: Path) -> int:
    with _pickles(path) as stream:
        return max((int(str(arg)) for code, arg in _codes(stream) if code == "PROTO"), default=2)


def _codes(stream: IO[bytes]) -> Iterator[tuple[str, object]]:
    """Instructions of up to five pickles, one after the other; ends where they become unreadable."""
    try:
        for _ in range(_LEGACY_PICKLES):
            for code, argument, _ in pickletools.genops(stream):
                yield code.name, argument
    except Exception:  # genops raises ValueError, and whatever decoding raises
        return


def _imports(stream: IO[bytes]) -> Iterator[tuple[str, str]]:
    """Module and name of each import; those of protocol 4 are the last two texts, or remembered ones."""
    texts: list[str] = ["", ""]
    memo: dict[object, str] = {}
    before = ""
    for code, argument in _codes(stream):
        if code == "PROTO":
            memo.clear()  # the next pickle of a file counts anew
        elif code in ("GLOBAL", "INST"):
            module, _, name = str(argument).partition(" ")
            yield module, name
        elif code == "STACK_GLOBAL":
            yield texts[-2], texts[-1]
        elif "UNICODE" in code:
            texts.append(str(argument))
        elif "PUT" in code or code == "MEMOIZE":
            # Every MEMOIZE takes the next place, whatever lies on the stack.
            place = len(memo) if code == "MEMOIZE" else argument
            memo[place] = texts[-1] if "UNICODE" in before else ""
        elif "GET" in code and memo.get(argument):
            texts.append(memo[argument])
        before = code


def _refused_by_torch(named: Collection[tuple[str, str]]) -> list[str]:
    """torch itself says which it refuses: of an archive that holds these names and nothing else."""
    lines = [f"c{module}\n{name}\n" for module, name in named if "\n" not in module + name]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("names/data.pkl", b"\x80\x02" + "".join(lines).encode() + b".")
        written.writestr("names/version", "3\n")
    archive.seek(0)
    return sorted(get_unsafe_globals_in_checkpoint(archive))
