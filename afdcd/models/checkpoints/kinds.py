"""What a file is, by its first bytes and never by its name."""

import tarfile
import zipfile
from pathlib import Path
from typing import Literal

from afdcd.config import UserError

Kind = Literal["safetensors", "zip", "legacy"]

HEAD = 512
# torch.save before 1.6 begins with this number, pickled.
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_AGAIN = "download it again"
_UNPACK = "unpack it and give the checkpoint inside"
_ONNX = "give the PyTorch weights that it was exported from"
_BEGINNINGS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5)", "afdcd reads weights of PyTorch only"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "run: git lfs pull"),
    (b"GGUF", "a GGUF file", "afdcd reads weights of PyTorch only"),
    (b"\x93NUMPY", "a NumPy array", "save the network's state_dict() with torch.save"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
)
_SCRIPTED = (
    "save its weights where it loads: torch.save(torch.jit.load(FILE).state_dict(), 'w.pth')"
)
# An entry of a zip archive that only one program writes.
_ARCHIVES = (
    ("constants.pkl", "a TorchScript archive: a program, not weights", _SCRIPTED),
    ("archive_format", "a torch.export archive: a program", "save the network's state_dict()"),
    ("model.weights.h5", "a Keras archive", "afdcd reads weights of PyTorch only"),
    (".npy", "a NumPy archive", "save the network's state_dict() with torch.save"),
)


def kind_of(path: Path) -> Kind:
    """Safetensors, or one of the two formats of torch.save.

    Raises:
        UserError: it cannot be read, or is something else: what, and what to do.
    """
    head = _beginning(path)
    # Before the rest: the length of a header, with which it begins, may look like any of them.
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27:
        return "safetensors"
    if head.startswith(b"PK"):
        return _of_archive(path)
    if head.startswith(_LEGACY):
        return "legacy"
    what, remedy = _named(path, head)
    raise UserError(f"{path}: {what}; {remedy}")


def _beginning(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UserError(f"{path}: a folder; give {_inside(path)}")
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: no regular file; give a checkpoint")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; give a checkpoint") from None
    if not head:
        raise UserError(f"{path}: empty; {_AGAIN}")
    return head


def _inside(folder: Path) -> str:
    """The weights of a folder as Hugging Face and segmentation-models-pytorch write them."""
    endings = {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}
    try:
        found = sorted(file.name for file in folder.iterdir() if file.suffix in endings)
    except OSError:
        found = []
    return f"a file in it: {', '.join(found[:4])}" if found else "a checkpoint"


def _of_archive(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            what = [(said, remedy) for end, said, remedy in _ARCHIVES if _has(names, end)]
            if what or not _has(names, "data.pkl"):
                said, remedy = what[0] if what else ("a zip archive that is no checkpoint", _UNPACK)
                raise UserError(f"{path}: {said}; {remedy}")
            _check_sizes(path, archive)
            # torch.load does not look at the checksums: it would take damaged weights for good ones.
            damaged = archive.testzip()
    except UserError:
        raise
    except Exception:  # zipfile raises half a dozen kinds of its own and of Python's
        raise UserError(f"{path}: damaged or cut short; copy or {_AGAIN}") from None
    if damaged:
        raise UserError(f"{path}: damaged (checksum of {damaged!r}); copy or {_AGAIN}")
    return "zip"


def _has(names: list[str], end: str) -> bool:
    return any(name == end or name.endswith(end if end[0] == "." else f"/{end}") for name in names)


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """torch.save compresses nothing: an archive that grows when unpacked may fill the memory."""
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > 20 * path.stat().st_size:
        raise UserError(f"{path}: {unpacked} bytes when unpacked, which torch.save never writes")


def _named(path: Path, head: bytes) -> tuple[str, str]:
    for beginning, what, remedy in _BEGINNINGS:
        if head.startswith(beginning):
            return what, remedy
    if head[257:262] == b"ustar" or tarfile.is_tarfile(path):
        return "a tar archive (PyTorch before 0.1.10, or a packed folder)", _UNPACK
    if head[:1] == b"\x08" and (path.suffix == ".onnx" or b"pytorch" in head[:40]):
        return "an ONNX graph, not weights by name", _ONNX
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return _bare_pickle(path, head)
    return _text(head)


def _bare_pickle(path: Path, head: bytes) -> tuple[str, str]:
    if _LEGACY.startswith(head):
        return "cut short", f"copy or {_AGAIN}"
    from afdcd.models.checkpoints.pickles import foreign_names, remedy, some_names

    names = foreign_names(path)
    would = f"; loading it would import {some_names(names)}" if names else ""
    return f"a pickle that torch.save did not write{would}", remedy(names)


def _text(head: bytes) -> tuple[str, str]:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:20].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page", f"the download asked for something; {_AGAIN} in a browser"
    if not any(byte < 9 or 13 < byte < 32 for byte in head) and b"\x7f" not in head:
        return "a text file", "give a checkpoint"
    return "no checkpoint of a kind that afdcd knows, or damaged", f"copy or {_AGAIN}"
