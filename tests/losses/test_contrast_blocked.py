"""Blocks of the contrast: how they are cut changes nothing, and bounds memory; nothing waits."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from afdcd.losses import contrast_blocked
from afdcd.losses.contrast_blocked import blocked, pieces
from tests.reference.contrast import official_contrast

SETTINGS = {"groups": 2, "patch": (3, 4), "temperature": 0.7}


@pytest.mark.parametrize("other_groups", [True, False])
@pytest.mark.parametrize("block", [1, 5 * 24, 2 * 24**2, 10**6])  # a row, 5 rows, 2 patches, all
@pytest.mark.parametrize("piece", [1, 10**6])  # a row of patches, all
def test_cutting_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, block: int, piece: int, other_groups: bool
) -> None:
    student, teacher = _map(seed=0), _map(seed=1)
    settings = SETTINGS | {"other_groups": other_groups, "with_slope": True}
    whole, whole_slope = blocked(student, teacher, **settings)
    monkeypatch.setattr(contrast_blocked, "BLOCK_ELEMENTS", block)
    monkeypatch.setattr(contrast_blocked, "PIECE_ELEMENTS", piece)
    total, slope = blocked(student, teacher, **settings)
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(slope, whole_slope)


def test_equals_every_distance_and_gathered_negatives() -> None:
    student, teacher = _map(seed=0).requires_grad_(), _map(seed=1)
    expected = official_contrast(student, teacher, pool=0, **SETTINGS)
    (gradient,) = torch.autograd.grad(expected, student)
    total, slope = blocked(
        student.detach(), teacher, **SETTINGS, other_groups=True, with_slope=True
    )
    pixels = student.shape[0] * student.shape[2] * student.shape[3]
    torch.testing.assert_close(total / pixels, expected)
    torch.testing.assert_close(slope / pixels / SETTINGS["temperature"], gradient)


def test_slope_has_the_memory_format_of_the_student() -> None:
    student = _map(seed=0).contiguous(memory_format=torch.channels_last)
    settings = SETTINGS | {"other_groups": True, "with_slope": True}
    _, slope = blocked(student, _map(seed=1), **settings)
    _, expected = blocked(student.contiguous(), _map(seed=1), **settings)
    assert slope.stride() == student.stride()
    torch.testing.assert_close(slope, expected)


@pytest.mark.parametrize("patch", [(2, 2), (16, 16)])
def test_no_tensor_is_larger_than_the_block_or_the_map(
    monkeypatch: pytest.MonkeyPatch, patch: tuple[int, int]
) -> None:
    """With patch 16x16 all distances would be 512^2, and those of one row 512."""
    monkeypatch.setattr(contrast_blocked, "BLOCK_ELEMENTS", 2**11)
    monkeypatch.setattr(contrast_blocked, "PIECE_ELEMENTS", 2**11)
    student, teacher = torch.randn(2, 1, 8, 16, 16)
    with Recorder() as seen:
        blocked(student, teacher, **SETTINGS | {"patch": patch}, other_groups=True, with_slope=True)
    assert max(x.numel() for x in seen.created) <= 2**11


def test_computes_without_looking_at_the_numbers() -> None:
    """What depends on values (nonzero, item, boolean index) makes a GPU wait for the CPU."""
    with Recorder() as seen:
        blocked(_map(seed=0), _map(seed=1), **SETTINGS, other_groups=True, with_slope=True)
    assert seen.created
    assert not seen.waits


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("of", ["student", "teacher"])
def test_a_number_that_is_not_finite_shows_in_the_loss(bad: float, of: str) -> None:
    maps = {"student": _map(seed=0), "teacher": _map(seed=1)}
    maps[of][1, 5, 2, 3] = bad
    total, _ = blocked(**maps, **SETTINGS, other_groups=True, with_slope=True)
    assert not total.isfinite()


def test_pieces_are_whole_images_or_whole_rows_of_patches() -> None:
    shape = torch.Size([3, 2, 6, 5])  # 60 elements an image, 20 a row of patches
    assert _spans(shape, 125) == [((0, 2), (0, 6)), ((2, 3), (0, 6))]
    assert _spans(shape, 59) == [((b, b + 1), rows) for b in range(3) for rows in ((0, 4), (4, 6))]
    assert _spans(shape, 1) == [
        ((b, b + 1), (row, row + 2)) for b in range(3) for row in range(0, 6, 2)
    ]


class Recorder(TorchDispatchMode):
    """Keeps the tensors that operators make, and the names of operators that make a GPU wait."""

    def __init__(self) -> None:
        super().__init__()
        self.created: list[Tensor] = []
        self.waits: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        by_mask = "index" in name and any(
            x is not None and x.dtype == torch.bool for x in _tensors(args[1:])
        )
        if by_mask or name in {"nonzero", "_local_scalar_dense", "masked_select", "is_nonzero"}:
            self.waits.append(name)
        self.created += _tensors([out])
        return out


def _tensors(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _tensors(value)
    return found


def _spans(shape: torch.Size, elements: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """First and last of each piece, as far as the map goes."""
    return [
        (images.indices(shape[0])[:2], rows.indices(shape[2])[:2])
        for images, rows in pieces(shape, (2, 5), elements)
    ]


def _map(*, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 8, 6, 8, generator=generator, dtype=torch.float64)
