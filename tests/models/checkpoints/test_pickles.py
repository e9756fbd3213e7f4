"""Nothing that a file asks for is run: it is named."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from afdcd.config import UserError
from afdcd.models.checkpoints.pickles import foreign_names, load

WAYS: dict[str, dict[str, Any]] = {
    "zip": {},
    "legacy": {"_use_new_zipfile_serialization": False},
    "protocol 4": {"pickle_protocol": 4},
    "protocol 5": {"pickle_protocol": 5},
    "legacy protocol 4": {"_use_new_zipfile_serialization": False, "pickle_protocol": 4},
}


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return spring, (str(self.path),)


def spring(path: str) -> None:
    Path(path).touch()


def other() -> None: ...


@pytest.mark.parametrize("way", WAYS)
def test_what_it_would_import_is_named_and_not_run(way: str, tmp_path: Path) -> None:
    file, sprung = tmp_path / "t.pth", tmp_path / "sprung"
    torch.save(
        {"a": torch.ones(2), "trap": Trap(sprung), "b": np.int64(3), "c": other}, file, **WAYS[way]
    )
    with pytest.raises(UserError, match="refused, nothing of it was run: loading it would") as told:
        load(file)
    # The second name of a module: from protocol 4 on, the module's own is only referred to.
    for name in (f"{__name__}.spring", f"{__name__}.other", "numpy.dtype"):
        assert name in str(told.value)
    assert "collections" not in str(told.value) and "torch._utils" not in str(told.value)
    assert not sprung.exists()
    torch.load(file, weights_only=False)
    assert sprung.exists()  # a trap that does not spring would show nothing


@pytest.mark.parametrize("way", ["zip", "legacy"])
def test_plain_checkpoints_load_whatever_they_are_called(way: str, tmp_path: Path) -> None:
    """For a path, torch.load would take the ending .safetensors at its word."""
    file = tmp_path / "t.safetensors"
    torch.save({"a": torch.ones(2), "n": 3}, file, **WAYS[way])
    content = load(file)
    assert isinstance(content, dict) and content["a"].equal(torch.ones(2))
    assert foreign_names(file) == []


def test_a_protocol_that_the_restricted_loader_does_not_read_is_told(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "t.pth", pickle_protocol=5)
    with pytest.raises(UserError, match=r"pickled by protocol 5.*torch.save's own, 2"):
        load(tmp_path / "t.pth")


def test_the_remedy_fits_who_wrote_it(tmp_path: Path) -> None:
    for module, remedy in {
        "mmengine.logging.history_buffer": "publish_model.py",
        "ultralytics.nn.tasks": "does not build networks of Ultralytics",
        "torch.nn.modules.conv": "a whole network was pickled.*network.state_dict",
        "pytorch_lightning.callbacks": r"torch.load\(FILE, weights_only=False\)\['state_dict'\]",
        "somebody.code": r"torch.save\(network.state_dict\(\)",
    }.items():
        with zipfile.ZipFile(tmp_path / "t.pth", "w") as archive:
            archive.writestr("t/data.pkl", f"\x80\x02c{module}\nThing\n.".encode("latin-1"))
            archive.writestr("t/version", "3\n")
        with pytest.raises(UserError, match=remedy) as told:
            load(tmp_path / "t.pth")
        assert f"{module}.Thing" in str(told.value)
