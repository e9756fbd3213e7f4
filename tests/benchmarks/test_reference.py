"""The other side of the comparisons is the authors': their numbers, in value and gradient."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from afdcd.distillers.configs.reconstruction import ReconstructionConfig
from afdcd.distillers.projector import MaskedReconstruction
from afdcd.models.outputs import Output
from benchmarks.official import Arithmetic
from tests import golden
from tests.distillers.pairs import pair_of
from tests.reference.projector import OfficialReconstruction, centre_mask, feature_distance
from tests.reference.step import OfficialLoss, OfficialTrainer, Recipe

CASES = golden.afdcd_cases()
CROPPED = "c7_camvid_45x45_crop44_M4_p44_t007"  # the reference pools, or takes whole patches


@pytest.mark.parametrize("name", [n for n in CASES if CASES[n]["rand_mask"] and n != CROPPED])
@pytest.mark.parametrize("term", ["fd", "contrast"])
def test_equals_the_authors_values_and_gradients(name: str, term: str) -> None:
    arrays, theirs = golden.afdcd(name), {"fd": "fd", "contrast": "ctr"}[term]
    student = arrays["feat_S"].requires_grad_()
    loss = OfficialLoss(_reconstruction(name), _recipe(CASES[name]))
    value = loss(_output(student), _output(arrays["feat_T"]), arrays["rand_U"])[term]
    torch.testing.assert_close(value, arrays[theirs], **golden.TOLERANCE)
    (grad,) = torch.autograd.grad(value, student)
    torch.testing.assert_close(grad, arrays[f"grad_S_{theirs}"], **golden.TOLERANCE)


def test_centre_mask_equals_the_authors_value() -> None:
    name = "c5_citys_centre_mask_M4_p44_pool0_t07"
    arrays = golden.afdcd(name)
    rebuilt = _reconstruction(name)(arrays["feat_S"], centre_mask(arrays["feat_S"]))
    error = feature_distance(rebuilt, arrays["feat_T"])
    torch.testing.assert_close(error, arrays["fd"], **golden.TOLERANCE)


def test_enhanced_projector_equals_ours() -> None:
    ours = MaskedReconstruction(
        ReconstructionConfig(projector="enhanced", mask="centre"), pair_of(3, 4, 2)
    ).double()
    official = OfficialReconstruction(3, 4, enhanced=True).double()
    official.load_state_dict(dict(ours.named_parameters()))
    feature = torch.randn(2, 3, 6, 9, dtype=torch.float64)
    torch.testing.assert_close(official(feature, centre_mask(feature)), ours(feature, None))


def test_kd_equals_the_authors_value() -> None:
    case = golden.others("kd_T1")
    feature = torch.zeros(len(case["S"]), 4, 4, 4, dtype=torch.float64)
    loss = OfficialLoss(
        OfficialReconstruction(4, 4).double(), Recipe(groups=2, pool=0, kd_weight=3.0)
    )
    outputs = [Output(case[who], None, {"encoder": feature}) for who in ("S", "T")]
    torch.testing.assert_close(loss(*outputs)["kd"], 3 * case["loss"], **golden.TOLERANCE)


def test_iterate_takes_the_authors_step() -> None:
    """Clips the loss's parameters alone, adds decay, and lowers the rate from the start."""
    recipe = Recipe(kd_weight=0, fd_weight=1, contrast_weight=0, groups=2, pool=0, iterations=4)
    student, loss = _Network(4), OfficialLoss(OfficialReconstruction(4, 4), recipe)
    trainer = OfficialTrainer(student, _Network(4, scale=50.0), loss)
    before = {name: p.detach().clone() for name, p in _parameters(trainer)}
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    terms = trainer.iterate(2, images, torch.zeros(2, 8, 8, dtype=torch.int64))
    assert terms.keys() == {"task", "kd", "fd", "contrast"}
    rate = recipe.lr * (1 - 2 / 4) ** 0.9
    total = 0.0
    for name, parameter in _parameters(trainer):
        assert parameter.grad is not None
        step = parameter.grad + recipe.weight_decay * before[name]
        torch.testing.assert_close(parameter.detach(), before[name] - rate * step)
        total += float(parameter.grad.square().sum()) if name.startswith("loss") else 0.0
    assert total**0.5 == pytest.approx(recipe.clip, rel=1e-3)  # was far more: the teacher is x50


def test_autocast_rounds_networks_and_projector_but_no_parameter() -> None:
    recipe = Recipe(kd_weight=1, fd_weight=1, contrast_weight=1, groups=2, pool=0)
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    uniform = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    found = {}
    for arithmetic in (Arithmetic(), Arithmetic(bf16=True)):
        torch.manual_seed(0)
        loss = OfficialLoss(OfficialReconstruction(4, 4), recipe)
        trainer = OfficialTrainer(_Network(4), _Network(4, scale=2.0), loss)
        arithmetic.apply(trainer)
        found[arithmetic.bf16] = _observed(trainer, images, uniform)
    (types32, terms32), (types16, terms16) = found[False], found[True]
    assert types32 == {torch.float32}
    assert types16 == {torch.bfloat16}
    assert terms16["contrast"] != terms32["contrast"]
    for name in ("task", "kd", "fd", "contrast"):
        assert terms16[name] == pytest.approx(terms32[name], rel=0.05, abs=1e-3), name


def _observed(
    trainer: OfficialTrainer, images: Tensor, uniform: Tensor
) -> tuple[set[torch.dtype], dict[str, float]]:
    """Types that the convolutions give, and the terms of one step."""
    types: set[torch.dtype] = set()
    for part in (trainer.student, trainer.teacher, trainer.loss):
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(lambda m, args, output: types.add(output.dtype))
    labels = torch.zeros(2, 8, 8, dtype=torch.int64)
    terms = trainer.iterate(0, images, labels, uniform)
    parameters = [*trainer.student.parameters(), *trainer.loss.parameters()]
    assert {parameter.dtype for parameter in parameters} == {torch.float32}
    return types, terms


class _Network(nn.Module):
    """The features are the logits."""

    def __init__(self, channels: int, scale: float = 1.0) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, channels, 1), scale

    def forward(self, images: Tensor) -> Output:
        feature = self.conv(images) * self.scale
        return Output(feature, None, {"encoder": feature})


def _parameters(trainer: OfficialTrainer) -> list[tuple[str, nn.Parameter]]:
    both = {"student": trainer.student, "loss": trainer.loss}
    return [
        (f"{k}.{name}", p) for k, module in both.items() for name, p in module.named_parameters()
    ]


def _reconstruction(name: str) -> OfficialReconstruction:
    case, arrays = CASES[name], golden.afdcd(name)
    module = OfficialReconstruction(case["student_channels"], case["teacher_channels"]).double()
    weights = {
        key.removeprefix("param/").replace("projetor", "projector"): value
        for key, value in arrays.items()
        if key.startswith("param/")
    }
    module.load_state_dict(weights)
    return module


def _recipe(case: dict[str, Any]) -> Recipe:
    return Recipe(
        kd_weight=1,
        fd_weight=1,
        contrast_weight=1,
        tau=case["tau_ocd"],
        groups=case["M_ocd"],
        patch=tuple(case["patch_size"]),
        pool=0 if case["dataset"] == "camvid" else case["pool_size"],
        mask_ratio=case["mask_ratio"],
    )


def _output(feature: Tensor) -> Any:
    return SimpleNamespace(logits=feature[:, :3], features={"encoder": feature})
