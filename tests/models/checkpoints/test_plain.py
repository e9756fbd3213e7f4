"""Tensors made fit for a safetensors file, with their values."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from afdcd.config import UserError
from afdcd.models.checkpoints.plain import made_plain, not_finite

FILE = Path("t.pth")


def _plain(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    return made_plain(tensors, FILE, 1000)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_less_than_32_bits_become_float32_with_the_same_values(kind: torch.dtype) -> None:
    narrow = torch.rand(4).to(kind)
    found, changes = _plain({"a": narrow, "n": torch.tensor(3)})
    assert found["a"].dtype == torch.float32
    assert found["a"].equal(narrow.float())
    assert found["n"].dtype == torch.int64
    assert changes == [f"1 tensors of {str(kind).removeprefix('torch.')} turned to float32"]


def test_what_safetensors_refuses_is_copied(tmp_path: Path) -> None:
    """Tied, transposed, expanded and sparse tensors, and parameters."""
    whole = torch.rand(3, 4)
    tensors = {
        "a": torch.nn.Parameter(whole),
        "tied": whole,
        "part": whole[1:],
        "turned": whole.T,
        "wide": torch.ones(1).expand(5),
        "sparse": torch.eye(3).to_sparse(),
    }
    with pytest.raises((RuntimeError, ValueError)):
        save_file(tensors, tmp_path / "t.safetensors")
    found, changes = _plain(tensors)
    save_file(found, tmp_path / "t.safetensors")
    dense = {key: value.to_dense() if key == "sparse" else value for key, value in tensors.items()}
    assert all(found[key].equal(dense[key]) for key in tensors)
    assert changes == ["2 tied tensors given values of their own"]


def test_counters_are_filled_in_where_a_file_has_none() -> None:
    norm = {"a.running_var": torch.ones(2), "b.running_var": torch.ones(2)}
    found, changes = _plain(norm)
    assert {key for key in found if key not in norm} == {
        "a.num_batches_tracked",
        "b.num_batches_tracked",
    }
    assert found["a.num_batches_tracked"].dtype == torch.int64
    assert changes == ["2 counters of PyTorch 0.4.1 and later filled in (num_batches_tracked)"]
    counted = norm | {"a.num_batches_tracked": torch.tensor(7)}
    assert _plain(counted)[0].keys() == counted.keys()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "x has torch.qint8 values"),
        (torch.ones(2, device="meta"), "x has no values"),
        (torch.ones(2, dtype=torch.complex64), "x has torch.complex64 values"),
        (torch.ones(1).expand(1 << 40), "claim 4398046511104 bytes, the file has 1000"),
    ],
)
def test_what_cannot_be_weights_is_refused(value: Tensor, message: str) -> None:
    with pytest.raises(UserError, match=message):
        _plain({"x": value})


def test_values_that_are_no_numbers_are_found() -> None:
    bad = torch.tensor([1.0, float("nan")])
    assert not_finite({"a": torch.ones(2), "b": bad, "n": torch.tensor(1)}) == ["b"]
