"""Logits KD: a value by hand, the authors' numbers, the gradient, invariances."""

import math

import pytest
import torch
from torch import Tensor

from afdcd.losses.kd import pixel_kl
from tests import golden

SHAPE = (2, 5, 3, 4)  # b k h w: all different, so that a swapped axis cannot pass


def test_equals_value_worked_out_by_hand() -> None:
    uniform = torch.zeros(1, 2, 1, 1)  # student: 1/2, 1/2
    peaked = torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1)  # teacher: 3/4, 1/4
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert pixel_kl(uniform, peaked, 1.0).item() == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [1, 4])
def test_equals_the_authors_value_and_gradient(temperature: int) -> None:
    case = golden.others(f"kd_T{temperature}")
    student = case["S"].requires_grad_()
    loss = pixel_kl(student, case["T"], float(temperature))
    (grad,) = torch.autograd.grad(loss, student)
    torch.testing.assert_close(loss, case["loss"], **golden.TOLERANCE)
    torch.testing.assert_close(grad, case["grad_S"], rtol=1e-9, atol=1e-15)


def test_ignores_a_constant_added_to_all_classes_of_a_pixel() -> None:
    student, teacher = _logits(seed=0), _logits(seed=1)
    shifted = student + _logits(seed=2)[:, :1]
    torch.testing.assert_close(pixel_kl(shifted, teacher, 2.0), pixel_kl(student, teacher, 2.0))


def test_half_precision_logits_are_compared_in_fp32() -> None:
    student, teacher = _logits(seed=0).bfloat16(), _logits(seed=1).bfloat16()
    loss = pixel_kl(student, teacher, 1.0)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, pixel_kl(student.float(), teacher.float(), 1.0))


def test_rejects_teacher_with_other_classes() -> None:
    with pytest.raises(TypeError, match="teacher"):
        pixel_kl(_logits(seed=0), _logits(seed=1)[:, :4], 1.0)


def _logits(*, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator, dtype=torch.float64)
