"""Masks and reconstruction error: hand values and the authors' masks."""

import pytest
import torch
from torch import Tensor

from afdcd.losses.reconstruction import centre_mask, keep_mask, reconstruction_error
from tests import golden

CASES = golden.afdcd_cases()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["rand_mask"]])
def test_random_mask_is_the_authors(name: str) -> None:
    """One draw equals exactly 1 - mask_ratio in most cases: it must be kept."""
    case = golden.afdcd(name)
    assert keep_mask(case["rand_U"], CASES[name]["mask_ratio"]).equal(case["mask"].bool())


def test_random_mask_hides_the_share_it_says() -> None:
    uniform = torch.rand(1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    hidden = 1 - keep_mask(uniform, 0.75).double().mean().item()
    assert hidden == pytest.approx(0.75, abs=0.01)


def test_centre_mask_is_the_authors() -> None:
    expected = golden.afdcd("c5_citys_centre_mask_M4_p44_pool0_t07")["mask"]
    assert centre_mask(8, 12).equal(expected[:1].bool())


def test_centre_mask_hides_the_middle_third_of_sizes_3_does_not_divide() -> None:
    hidden = (~centre_mask(8, 7)[0, 0]).nonzero()
    assert hidden.min(dim=0).values.tolist() == [2, 2]  # 8 // 3, 7 // 3
    assert hidden.max(dim=0).values.tolist() == [4, 3]  # 2 * 8 // 3 - 1, 2 * 7 // 3 - 1


def test_error_sums_over_all_but_images() -> None:
    difference = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(2, 2, 1, 1)
    teacher = torch.full((2, 2, 1, 1), 5.0)
    assert reconstruction_error(teacher + difference, teacher).item() == (1 + 4 + 9 + 16) / 2


def test_error_of_half_precision_maps_does_not_overflow() -> None:
    rebuilt = torch.full((1, 64, 8, 8), 300.0, dtype=torch.float16)  # 300^2 > 65504
    error = reconstruction_error(rebuilt, torch.zeros_like(rebuilt))
    assert error.item() == 64 * 64 * 300.0**2


def test_gradient_is_the_numerical_one_and_in_the_type_of_the_map() -> None:
    generator = torch.Generator().manual_seed(0)
    rebuilt, teacher = torch.randn(2, 2, 3, 4, 5, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: reconstruction_error(x, teacher), (rebuilt.clone().requires_grad_(),)
    )
    half = rebuilt.bfloat16().requires_grad_()
    (gradient,) = torch.autograd.grad(reconstruction_error(half, teacher.bfloat16()), half)
    assert gradient.dtype == torch.bfloat16
    expected = half.detach().float() - teacher.bfloat16().float()  # 2 / len
    torch.testing.assert_close(gradient.float(), expected, rtol=1e-2, atol=1e-2)


def test_error_of_half_precision_maps_keeps_no_copy_of_them() -> None:
    rebuilt = torch.zeros(4, 8, 4, 4, dtype=torch.bfloat16).requires_grad_()
    saved: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        reconstruction_error(rebuilt, torch.ones_like(rebuilt))
    assert saved
    assert all(tensor.dtype == torch.bfloat16 for tensor in saved)
