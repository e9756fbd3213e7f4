"""Omni-contrast: a value by hand, the authors' numbers, invariances, half precision, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from afdcd.losses.contrast import omni_contrast, shrink
from tests import golden
from tests.reference.contrast import official_contrast

OMNI = {"groups": 4, "patch": (2, 2), "temperature": 0.7, "negatives": "other_groups"}
VARIANTS = {
    "omni_official_M4_patch22_t0.7": OMNI,
    "omni_all_others_M4_patch22_t0.7": OMNI | {"negatives": "all_others"},
    "spatial_M1_patch44_t0.7": OMNI | {"groups": 1, "patch": (4, 4), "negatives": "all_others"},
    "channel_M4_patch11_t0.7": OMNI | {"patch": (1, 1)},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_the_reference_of_every_design(name: str) -> None:
    case = golden.others(f"afdcd_VARIANT_{name}")
    student = case["R"].requires_grad_()
    loss = omni_contrast(student, case["T"], **VARIANTS[name])
    (grad,) = torch.autograd.grad(loss, student)
    torch.testing.assert_close(loss, case["loss"], **golden.TOLERANCE)
    torch.testing.assert_close(grad, case["grad_R"], **golden.TOLERANCE)


def test_equals_value_worked_out_by_hand() -> None:
    """Two groups of one channel in one pixel: each token has one positive and one negative."""
    student = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)
    teacher = torch.tensor([1.0, 4.0]).view(1, 2, 1, 1)
    loss = omni_contrast(student, teacher, **(OMNI | {"groups": 2, "patch": (1, 1)}))
    first = math.log1p(math.exp((1 - 4) / 0.7))  # |0-1| to the positive, |0-4| to the negative
    second = math.log1p(math.exp((2 - 1) / 0.7))  # |2-4| and |2-1|
    assert loss.item() == pytest.approx(first + second)


def test_gradient_is_the_numerical_one() -> None:
    student, teacher = _map(seed=0)[:1, :4, :2, :4], _map(seed=1)[:1, :4, :2, :4]
    settings = OMNI | {"groups": 2}

    def loss(x: Tensor) -> Tensor:
        return omni_contrast(x, teacher, **settings)

    assert torch.autograd.gradcheck(loss, student.clone().requires_grad_())


def test_one_group_has_no_negatives_among_other_groups() -> None:
    student = _map(seed=0).requires_grad_()
    loss = omni_contrast(student, _map(seed=1), **(OMNI | {"groups": 1}))
    (grad,) = torch.autograd.grad(loss, student)
    assert loss.item() == 0.0
    assert not grad.any()


def test_order_of_patches_does_not_matter() -> None:
    student, teacher = _map(seed=0), _map(seed=1)
    loss = omni_contrast(student, teacher, **OMNI)
    rolled = omni_contrast(student.roll(2, dims=3), teacher.roll(2, dims=3), **OMNI)
    across = omni_contrast(student.roll(1, dims=3), teacher.roll(1, dims=3), **OMNI)
    torch.testing.assert_close(rolled, loss)
    assert not torch.isclose(across, loss)  # half a patch regroups the negatives


def test_mean_over_workers_is_the_loss_of_the_whole_batch() -> None:
    student, teacher = _map(seed=0), _map(seed=1)
    slices = [omni_contrast(student[i : i + 1], teacher[i : i + 1], **OMNI) for i in range(2)]
    torch.testing.assert_close(sum(slices) / 2, omni_contrast(student, teacher, **OMNI))


def test_equals_every_distance_and_gathered_negatives() -> None:
    settings = {"groups": 4, "patch": (2, 3), "temperature": 0.7}
    student, teacher = _map(seed=0).requires_grad_(), _map(seed=1)
    expected = official_contrast(student, teacher, pool=0, **settings)
    loss = omni_contrast(student, teacher, negatives="other_groups", **settings)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(_gradient(loss, student), _gradient(expected, student))


@pytest.mark.parametrize("design", VARIANTS)
def test_channel_where_both_agree_adds_no_gradient_of_the_positive(design: str) -> None:
    """The slope of |x| at 0 is 0: a student that is the teacher, with negatives far away."""
    teacher = torch.arange(192.0, dtype=torch.float64).view(1, 8, 4, 6) * 1000
    student = teacher.clone().requires_grad_()
    loss = omni_contrast(student, teacher, **VARIANTS[design] | {"patch": (1, 1)})
    assert not _gradient(loss, student).any()


@pytest.mark.parametrize(("temperature", "scale"), [(0.07, 1e4), (10.0, 1.0), (1e-3, 1e3)])
def test_extreme_temperatures_do_not_overflow(temperature: float, scale: float) -> None:
    student = (_map(seed=0) * scale).float().requires_grad_()
    teacher = (_map(seed=1) * scale).float()
    settings = {"groups": 4, "patch": (2, 2), "temperature": temperature}
    expected = official_contrast(student.double(), teacher.double(), pool=0, **settings)
    loss = omni_contrast(student, teacher, negatives="other_groups", **settings)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    assert _gradient(loss, student).isfinite().all()


def test_teacher_is_a_constant() -> None:
    student, teacher = _map(seed=0).requires_grad_(), _map(seed=1).requires_grad_()
    omni_contrast(student, teacher, **OMNI).backward()
    assert student.grad is not None
    assert student.grad.any()
    assert teacher.grad is None


def test_gradient_follows_the_weight_of_the_term() -> None:
    student, teacher = _map(seed=0).requires_grad_(), _map(seed=1)
    once = _gradient(omni_contrast(student, teacher, **OMNI), student)
    thrice = _gradient(3 * omni_contrast(student, teacher, **OMNI), student)
    torch.testing.assert_close(thrice, 3 * once)


def test_keeps_for_the_backward_pass_one_gradient_in_the_type_of_the_student() -> None:
    student, teacher = _map(seed=0).bfloat16().requires_grad_(), _map(seed=1).bfloat16()
    kept = omni_contrast(student, teacher, **OMNI).grad_fn.saved_tensors
    assert [(x.shape, x.dtype) for x in kept] == [(student.shape, torch.bfloat16)]


def test_may_be_checkpointed() -> None:
    student, teacher = _map(seed=0).requires_grad_(), _map(seed=1)

    def loss(x: Tensor) -> Tensor:
        return omni_contrast(x * 3, teacher, **OMNI)

    again = checkpoint(loss, student, use_reentrant=False)
    torch.testing.assert_close(_gradient(again, student), _gradient(loss(student), student))


def test_callers_may_be_compiled() -> None:
    student, teacher = _map(seed=0).requires_grad_(), _map(seed=1)

    def loss(x: Tensor) -> Tensor:
        return 2 * omni_contrast(x * 3, teacher, **OMNI)

    compiled = torch.compile(loss, backend="eager")
    torch.testing.assert_close(compiled(student), loss(student))
    torch.testing.assert_close(
        _gradient(compiled(student), student), _gradient(loss(student), student)
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_fp32(dtype: torch.dtype) -> None:
    student, teacher = _map(seed=0).to(dtype).requires_grad_(), _map(seed=1).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = omni_contrast(student, teacher, **OMNI)
    assert loss.dtype == torch.float32
    wide = student.detach().float().requires_grad_()
    expected = omni_contrast(wide, teacher.float(), **OMNI)
    torch.testing.assert_close(loss, expected)
    gradient = _gradient(loss, student)
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient.float(), _gradient(expected, wide), rtol=0.02, atol=1e-4)


def test_shrink_pools_by_maximum_and_cuts_to_whole_patches() -> None:
    x = torch.arange(45.0 * 45).view(1, 1, 45, 45)
    assert shrink(x, 0, (4, 4)).equal(x[..., :44, :44])
    assert shrink(x, 1, (4, 4)).equal(x[..., :44, :44])
    pooled = shrink(x, 4, (4, 3))  # 45 -> 11 -> 8 rows, 9 columns
    assert pooled.shape == (1, 1, 8, 9)
    assert pooled[0, 0, 1, 2] == x[0, 0, 7, 11]  # rows 4..7, columns 8..11


def test_refuses_a_map_smaller_than_one_patch() -> None:
    with pytest.raises(ValueError, match=r"patch 4x4 .* 3x8 map .* pool 4 .*12x32.* lower patch"):
        shrink(torch.zeros(1, 1, 12, 32), 4, (4, 4))


def test_refuses_groups_that_do_not_divide_the_channels() -> None:
    with pytest.raises(ValueError, match=r"groups 3 does not divide .* 8 channels.* 2, 4, 8"):
        omni_contrast(_map(seed=0), _map(seed=1), **(OMNI | {"groups": 3}))


def test_refuses_a_patch_that_does_not_tile_the_map() -> None:
    with pytest.raises(ValueError, match="3x3 does not tile a 4x6 map"):
        omni_contrast(_map(seed=0), _map(seed=1), **(OMNI | {"patch": (3, 3)}))


def _map(*, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 8, 4, 6, generator=generator, dtype=torch.float64)


def _gradient(loss: Tensor, student: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, student)
    return gradient
