"""Read a checkpoint, take its wrappers off, say what it is, write it if it can be used."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from afdcd import storage
from afdcd.config import UserError
from afdcd.models.checkpoints.families import family
from afdcd.models.checkpoints.kinds import kind_of
from afdcd.models.checkpoints.own import Match, match
from afdcd.models.checkpoints.pickles import load
from afdcd.models.checkpoints.plain import made_plain, not_finite
from afdcd.models.checkpoints.unwrap import unwrap
from afdcd.models.tensors import read_tensors, write_tensors
from afdcd.models.weights import METADATA_KEY
from afdcd.text import byte_count, printable

SUFFIX = ".safetensors"
KINDS = {
    "safetensors": "a safetensors file",
    "zip": "a PyTorch checkpoint",
    "legacy": "a PyTorch checkpoint of the format before 1.6",
}
_LISTED = 8


def execute(args: argparse.Namespace) -> int:
    """Convert; the exit status: 0 if afdcd can use the weights or any were asked for, else 1."""
    path, out = args.file, args.out
    kind = kind_of(path)
    try:
        _check_out(path, out, args.force)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}; choose another place") from None
    size = path.stat().st_size
    print(f"{path}: {KINDS[kind]}, {byte_count(size)}; nothing in it was run")
    content, metadata = read_tensors(path) if kind == "safetensors" else (load(path), {})
    if METADATA_KEY in metadata:
        print("a network of afdcd with its card: there is nothing to convert, use it as it is")
        return 0
    taken = unwrap(content, path, weights=args.weights, part=args.part)
    tensors, changes = made_plain(taken.tensors, path, size)
    _tell("taken off", taken.removed)
    _tell("left out", taken.left_out)
    _tell("weights", taken.notes)
    _tell("changed", changes)
    ready = kind == "safetensors" and not (taken.removed or taken.left_out or changes)
    found = match(tensors, str(path if ready else out), args.encoder)
    usable = _describe(tensors, found, taken.left_out)
    if ready:
        print(f"{path} is what afdcd reads already: nothing was written")
    elif usable or args.any:
        _write(out, tensors)
    else:
        print(
            f"{out} was not written: afdcd cannot use these weights; --any writes them all the same"
        )
    if usable and found:
        print("\n".join(["in a search space:", *(f"  {line}" for line in found.lines)]))
    return 0 if usable or args.any else 1


def _check_out(path: Path, out: Path, force: bool) -> None:
    if out.suffix != SUFFIX:
        raise UserError(f"--out {out}: what is written is a safetensors file; name it ...{SUFFIX}")
    if not out.parent.is_dir():
        raise UserError(
            f"--out {out}: no folder {out.parent}; make it first: mkdir -p {out.parent}"
        )
    if out.is_dir():
        raise UserError(f"--out {out}: a folder; name a file in it")
    if out.exists() and out.samefile(path):
        raise UserError(f"--out {out}: is the file to convert; choose another name")
    if out.exists() and not force:
        raise UserError(f"--out {out}: is there already; choose another name, or --force")


def _tell(title: str, items: Sequence[str]) -> None:
    if items:
        more = f", ... ({len(items)} in all)" if len(items) > _LISTED else ""
        print(f"{title}: {', '.join(printable(item, 200) for item in items[:_LISTED])}{more}")


def _describe(tensors: Mapping[str, Tensor], found: Match | None, beside: Sequence[str]) -> bool:
    """Print what network it is; whether afdcd can use the weights."""
    if bad := not_finite(tensors):
        print(
            f"not finite: {len(bad)} tensors, first {printable(bad[0], 80)}: its training diverged"
        )
    if found and found.keys.exact:
        print(
            f"it is: {found.name}; all {found.keys.shared} keys and shapes are those that afdcd builds"
        )
        return not bad
    print(f"it is: {family(tensors, beside) or 'no network that is known'}; {_amount(tensors)}")
    if found:
        print(f"nearest of what afdcd builds: {found.name}; {found.keys.shared} keys agree")
        for line in found.keys.lines():
            print(f"  {line}")
    else:
        first = ", ".join(printable(key, 80) for key in list(tensors)[:3])
        print(f"afdcd builds none that is near; its keys: {first}, ...")
    return False


def _amount(tensors: Mapping[str, Tensor]) -> str:
    numbers = sum(value.numel() for value in tensors.values() if value.is_floating_point())
    return f"{len(tensors)} tensors, {numbers / 1e6:.2f} million numbers"


def _write(out: Path, tensors: Mapping[str, Tensor]) -> None:
    try:
        write_tensors(out, tensors, {"format": "pt"})
    except (OSError, SafetensorError) as error:
        raise UserError(f"--out {out}: cannot be written: {error}") from None
    size = byte_count(out.stat().st_size)
    print(f"wrote {out}: {len(tensors)} tensors, {size}, sha256 {storage.sha256(str(out))}")
