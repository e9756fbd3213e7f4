"""Kernels of the contrast: on the GPU where there is one, else by Triton's interpreter."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from afdcd.losses.contrast import omni_contrast
from afdcd.losses.contrast_blocked import blocked
from tests.losses.test_contrast_blocked import Recorder
from tests.reference.contrast import official_contrast

pytest.importorskip("triton")
contrast_triton = pytest.importorskip("afdcd.losses.contrast_triton")
fused = contrast_triton.fused

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Case(NamedTuple):
    shape: tuple[int, int, int, int]
    groups: int
    patch: tuple[int, int]
    temperature: float = 0.7
    other_groups: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        names = ("groups", "patch", "temperature", "other_groups")
        return {name: getattr(self, name) for name in names} | {"with_slope": True}


CASES = {
    "two patches, 24 tokens of 3 channels": Case((1, 6, 3, 8), 2, (3, 4)),
    "two images, 40 tokens of 5 channels": Case((2, 20, 2, 5), 4, (2, 5), 0.07),
    "64 tokens, none padded": Case((1, 16, 4, 4), 4, (4, 4)),
    "every other token": Case((1, 6, 3, 8), 2, (3, 4), other_groups=False),
    "spatial": Case((1, 9, 5, 4), 1, (5, 4), 3.0, other_groups=False),
    "channel": Case((1, 12, 1, 3), 6, (1, 1)),
    "tokens of one channel": Case((1, 8, 2, 2), 8, (2, 2)),
    "hot": Case((1, 8, 3, 6), 4, (3, 6), 10.0),
}


@pytest.fixture(autouse=True)
def _short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes half a second to fill the lists of a tile."""
    if DEVICE.type == "cpu":
        monkeypatch.setattr(contrast_triton, "CAPACITY", 8)


@pytest.mark.parametrize("name", CASES)
def test_equals_blocked_and_every_distance(name: str) -> None:
    case, (student, teacher) = CASES[name], _maps(CASES[name].shape)
    total = _assert_equal_to_blocked(student, teacher, case)
    if case.other_groups:
        settings = {"groups": case.groups, "patch": case.patch, "temperature": case.temperature}
        expected = official_contrast(student.double(), teacher.double(), pool=0, **settings)
        pixels = student.shape[0] * student.shape[2] * student.shape[3]
        torch.testing.assert_close(total.double() / pixels, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tile", [(64, 4), (32, 2), (16, 1)])
@pytest.mark.parametrize("other_groups", [True, False])
def test_every_tile_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, tile: tuple[int, int], other_groups: bool
) -> None:
    """70 tokens: whole tiles of one group, tiles of both, and a tail."""
    monkeypatch.setattr(contrast_triton, "TILES", (tile,))
    case = Case((1, 4, 5, 7), 2, (5, 7), 0.1, other_groups)
    _assert_equal_to_blocked(*_maps(case.shape), case)


@pytest.mark.parametrize("capacity", [1, 3, 16])
def test_rows_that_see_more_than_their_list_holds_are_compared_again(
    monkeypatch: pytest.MonkeyPatch, capacity: int
) -> None:
    """Half of the patches so hot that all of their lists overflow, half so cold that none does."""
    monkeypatch.setattr(contrast_triton, "CAPACITY", capacity)
    student, teacher = _maps((2, 6, 3, 4))
    student[0], teacher[0] = 1000 * student[0], 1000 * teacher[0]
    student[1], teacher[1] = 0.1 * student[1], 0.1 * teacher[1]
    _assert_equal_to_blocked(student, teacher, Case((2, 6, 3, 4), 2, (3, 4)))


def test_pieces_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case((2, 6, 4, 4), 2, (2, 4))
    monkeypatch.setattr(contrast_triton, "SCRATCH_BYTES", 1)  # a row of patches at a time
    _assert_equal_to_blocked(*_maps(case.shape), case)


@pytest.mark.parametrize("teacher_last", [True, False])
@pytest.mark.parametrize("student_last", [True, False])
def test_takes_slices_in_any_memory_format(student_last: bool, teacher_last: bool) -> None:
    case, wide = CASES["two patches, 24 tokens of 3 channels"], _maps((1, 6, 4, 9))
    formats = {True: torch.channels_last, False: torch.contiguous_format}
    student, teacher = (
        x.contiguous(memory_format=formats[last])[..., :3, :8]
        for x, last in zip(wide, (student_last, teacher_last), strict=True)
    )
    _, slope = fused(student, teacher, **case.settings)
    assert slope.is_contiguous(memory_format=formats[student_last])
    _assert_equal_to_blocked(student, teacher, case)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_fp32(dtype: torch.dtype) -> None:
    case = CASES["two patches, 24 tokens of 3 channels"]
    student, teacher = (x.to(dtype) for x in _maps(case.shape))
    total, slope = fused(student, teacher, **case.settings)
    expected, expected_slope = fused(student.float(), teacher.float(), **case.settings)
    assert total.dtype == torch.float32
    torch.testing.assert_close(total, expected)
    assert slope.dtype == dtype
    torch.testing.assert_close(slope, expected_slope.to(dtype))


def test_one_group_has_no_negatives_among_other_groups() -> None:
    case = Case((1, 3, 4, 4), 1, (4, 4))
    total, slope = fused(*_maps(case.shape), **case.settings)
    assert total == 0
    assert not slope.any()


def test_slope_of_equal_values_is_zero() -> None:
    case = CASES["two patches, 24 tokens of 3 channels"]
    student, teacher = _maps(case.shape)
    student[..., :4] = teacher[..., :4]  # positives
    student[:, :3, :, 4:] = teacher[:, 3:, :, 4:]  # negatives, the nearest
    _assert_equal_to_blocked(student, teacher, case)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the interpreter
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("of", [0, 1])
def test_a_number_that_is_not_finite_shows_in_the_loss(bad: float, of: int) -> None:
    """Also where the student is so good that no negative weighs anything."""
    case = Case((1, 6, 3, 8), 2, (3, 4), 1e-3)
    teacher, noise = _maps(case.shape)
    maps = (teacher + 1e-3 * noise, teacher)
    assert fused(*maps, **case.settings)[0].abs() < 1e-6
    maps[of][0, 2, 1, 3] = bad
    total, _ = fused(*maps, **case.settings)
    assert not total.isfinite()


def test_large_features_do_not_overflow() -> None:
    case = Case((1, 6, 3, 4), 2, (3, 4), 0.07)
    student, teacher = _maps(case.shape)
    _assert_equal_to_blocked(student * 1e6, teacher * 1e6, case)


def test_value_alone_needs_no_lists_and_no_slope() -> None:
    case = CASES["two patches, 24 tokens of 3 channels"]
    maps = _maps(case.shape)
    total, slope = fused(*maps, **case.settings | {"with_slope": False})
    assert slope is None
    torch.testing.assert_close(total, fused(*maps, **case.settings)[0])


def test_scratch_does_not_grow_with_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrast_triton, "SCRATCH_BYTES", 1)
    largest = []
    for images in (1, 2):
        case = Case((images, 6, 2, 4), 2, (2, 2))
        with Recorder() as seen:
            fused(*_maps(case.shape), **case.settings)
        largest.append(max(x.nbytes for x in seen.created))
    assert largest[0] == largest[1]


def test_launches_without_looking_at_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU is asked to complain if it must wait; the interpreter's own look-ups are not ours."""
    case = CASES["two patches, 24 tokens of 3 channels"]
    maps = _maps(case.shape)
    fused(*maps, **case.settings)  # compiles, which waits
    if DEVICE.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
        try:
            fused(*maps, **case.settings)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return
    for name in ("pack", "compare"):
        monkeypatch.setattr(contrast_triton.kernels, name, _NotLaunched())
    for name in ("slope_of_listed", "slope_of_all"):
        monkeypatch.setattr(contrast_triton.contrast_slope, name, _NotLaunched())
    with Recorder() as seen:
        fused(*maps, **case.settings)
    assert seen.created
    assert not seen.waits


@pytest.mark.skipif(DEVICE.type != "cuda", reason="needs a GPU")
def test_maps_on_a_gpu_go_through_the_kernels() -> None:
    student, teacher = (x.requires_grad_() for x in _maps((2, 32, 8, 8)))
    settings = {"groups": 4, "patch": (4, 4), "temperature": 0.7, "negatives": "other_groups"}
    names = []
    with torch.profiler.profile() as profile:
        omni_contrast(student, teacher, **settings).backward()
    names = [event.key for event in profile.key_averages()]
    assert {"compare", "slope_of_listed", "slope_of_all"} <= set(names)
    expected = omni_contrast(student.detach().cpu().double(), teacher.cpu().double(), **settings)
    loss = omni_contrast(student, teacher, **settings)
    torch.testing.assert_close(loss.cpu().double(), expected, rtol=1e-5, atol=1e-5)


class _NotLaunched:
    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        return lambda *args, **kwargs: None


def _maps(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, *shape, generator=generator).to(DEVICE)
    return student, teacher


def _assert_equal_to_blocked(student: Tensor, teacher: Tensor, case: Case) -> Tensor:
    total, slope = fused(student, teacher, **case.settings)
    expected, expected_slope = blocked(student.double(), teacher.double(), **case.settings)
    torch.testing.assert_close(total.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(slope.double(), expected_slope, rtol=1e-4, atol=1e-4)
    return total
