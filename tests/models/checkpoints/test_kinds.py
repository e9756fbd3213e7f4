"""What a file is, whatever it is called: one line each, with the remedy."""

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from afdcd.config import UserError
from afdcd.models.checkpoints.kinds import kind_of

NET = {"conv.weight": torch.rand(20, 30)}


def _saved(**options: bool) -> bytes:
    file = io.BytesIO()
    torch.save(NET, file, **options)
    return file.getvalue()


def _zip(kind: int = zipfile.ZIP_STORED, **entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return file.getvalue()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    return file.getvalue()


def _scripted() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Conv2d(1, 1, 1)), file)
    return file.getvalue()


def _array() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.ones(2))
    return file.getvalue()


def _flipped() -> bytes:
    content = bytearray(_saved())
    content[content.index(NET["conv.weight"].numpy().tobytes()) + 100] ^= 0xFF
    return bytes(content)


LEGACY = {"_use_new_zipfile_serialization": False}
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "TorchScript": (_scripted, "a TorchScript archive: a program.*torch.jit.load"),
    "torch.export": (lambda: _zip(x__archive_format=b"pt2"), "torch.export archive.*state_dict"),
    "Keras": (lambda: _zip(model_dot_weights_dot_h5=b"x"), "a Keras archive.*PyTorch only"),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5.*PyTorch only"),
    "npz": (_array, "a NumPy archive.*state_dict"),
    "npy": (lambda: b"\x93NUMPY\x01\x00", "a NumPy array.*state_dict"),
    "another zip": (lambda: _zip(a=b"text"), "a zip archive that is no checkpoint; unpack it"),
    "gzip": (lambda: gzip.compress(_saved()), "a gzip archive; unpack it"),
    "tar": (_tar, "a tar archive .PyTorch before 0.1.10.*unpack it"),
    "ONNX": (lambda: b'\x08\x08\x12\x07pytorch\x1a\x052.1.0:"', "ONNX.*PyTorch weights"),
    "LFS": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "Git LFS.*git lfs pull"),
    "web page": (lambda: b"\n<!DOCTYPE html><html>Quota exceeded", "a web page; the download"),
    "text": (lambda: b"epoch,miou\n1,0.5\n", "a text file; give a checkpoint"),
    "noise": (lambda: bytes(range(255, 100, -1)), "no checkpoint of a kind that afdcd knows"),
    "empty": (lambda: b"", "empty; download it again"),
    "cut zip": (lambda: _saved()[:-50], "damaged or cut short; copy or download it again"),
    "flipped": (_flipped, "damaged .checksum of 'archive/data/0'.*copy or download it again"),
    "cut legacy": (lambda: _saved(**LEGACY)[:9], "cut short; copy or download it again"),
    "a bare pickle": (lambda: pickle.dumps([1]), "a pickle that torch.save did not write; where"),
    "a pickled path": (
        lambda: pickle.dumps(Path("x")),
        "a pickle that torch.save did not write; loading it would import pathlib.PosixPath; where",
    ),
    "a zip bomb": (
        lambda: _zip(zipfile.ZIP_DEFLATED, x__data_dot_pkl=bytes(1 << 22)),
        "4194304 bytes when unpacked, which torch.save never writes",
    ),
}


@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize("name", ["t.pth", "t.safetensors"])
@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_what_is_no_checkpoint_is_told_with_the_remedy(
    case: str, name: str, tmp_path: Path
) -> None:
    content, message = FILES[case]
    (tmp_path / name).write_bytes(content())
    with pytest.raises(UserError, match=message) as caught:
        kind_of(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)


def test_checkpoints_are_known_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(_saved())
    (tmp_path / "b.onnx").write_bytes(_saved(**LEGACY))
    save_file(NET, tmp_path / "c.pth")
    assert kind_of(tmp_path / "a.safetensors") == "zip"
    assert kind_of(tmp_path / "b.onnx") == "legacy"
    assert kind_of(tmp_path / "c.pth") == "safetensors"


def test_a_place_that_is_no_file(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "pytorch_model.bin"):
        (tmp_path / name).touch()
    (tmp_path / "bare").mkdir()
    for path, message in {
        tmp_path: r"a folder; give a file in it: model\.safetensors, pytorch_model\.bin$",
        tmp_path / "bare": "a folder; give a checkpoint",
        tmp_path / "none.pth": "none.pth: cannot be read: No such file or directory",
        Path("x" * 300): "cannot be read: File name too long",
        Path("/dev/zero"): "/dev/zero: no regular file",
    }.items():
        with pytest.raises(UserError, match=message):
            kind_of(path)
