"""Masked feature distillation: agreement with MGD's authors, the masks, the weights."""

import pytest
import torch
from torch import Tensor

from afdcd.config import validate
from afdcd.distillers.configs import MGDConfig
from afdcd.models.outputs import Output
from tests import golden
from tests.distillers.pairs import STEP, given, pair_of

LABELS = torch.zeros(2, 8, 8, dtype=torch.int64)


def test_equals_the_value_of_mgd() -> None:
    """yzd-v/MGD@2c9da0b is the same loss: weight 2e-5, mask ratio 0.65."""
    case = golden.others("mgd_spatial_mask")
    config = MGDConfig(kd_weight=0, fd_weight=2e-5, mask_ratio=0.65)
    distiller = config.build(pair_of(6, 9, classes=3)).double()
    weights = {key[6:]: value for key, value in case.items() if key.startswith("param/")}
    ours = {f"reconstruct.{k.replace('generation', 'projector')}": v for k, v in weights.items()}
    distiller.load_state_dict(distiller.state_dict() | ours)
    student = case["S"].requires_grad_()
    loss = distiller(_output(student), _output(case["T"]), LABELS, given(case["U"]))["fd"]
    (grad,) = torch.autograd.grad(loss, student)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(grad, case["grad_S"], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("case", "widths"), [("mgd_seg", (6, 9)), ("mgd_seg_equal_width", (5, 5))])
def test_as_published_it_is_the_authors_for_segmentation(
    case: str, widths: tuple[int, int]
) -> None:
    """Feature term and channel-wise logits, weighted; their task loss is the task's own matter."""
    kept = golden.rivals(case)
    classes = kept["S_logits"].shape[1]
    config = validate(MGDConfig, {"method": "mgd", "preset": "cityscapes-pspnet-resnet18"})
    distiller = config.build(pair_of(*widths, classes=classes)).double()
    renamed = {
        f"reconstruct.{k.removeprefix('param/').replace('generation', 'projector')}": v
        for k, v in kept.items()
        if k.startswith("param/")
    }
    distiller.load_state_dict(distiller.state_dict() | renamed)
    logits, feature = kept["S_logits"].requires_grad_(), kept["S"].requires_grad_()
    student = Output(logits, None, {"encoder": feature})
    teacher = Output(kept["T_logits"], None, {"encoder": kept["T"]})
    terms = distiller(student, teacher, LABELS, given(kept["U"]))
    torch.testing.assert_close(terms["fd"], kept["loss_mgd_fea"], rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(terms["channel"], kept["loss_logit"], rtol=1e-9, atol=1e-13)
    (found,) = torch.autograd.grad(sum(terms.values()), feature)
    torch.testing.assert_close(found, kept["grad_S"], rtol=1e-9, atol=1e-13)


def test_a_run_of_before_there_was_a_term_for_logits_is_still_the_same() -> None:
    assert "logits_weight" not in MGDConfig().identity()
    assert MGDConfig(logits_weight=3).identity()["channel_temperature"] == 4
    assert MGDConfig(channel_temperature=2).identity() == MGDConfig().identity()


def test_centre_mask_sees_nothing_of_the_centre() -> None:
    distiller = MGDConfig(mask="centre").build(pair_of(4, 4, classes=3))
    feature = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    student = feature.requires_grad_()
    distiller(_output(student), _output(torch.zeros(2, 4, 9, 9)), LABELS, STEP)["fd"].backward()
    hidden = (student.grad == 0).all(dim=1)[0]
    assert hidden.nonzero().tolist() == [[r, c] for r in (3, 4, 5) for c in (3, 4, 5)]


def test_random_mask_without_draws_says_what_is_missing() -> None:
    reconstruct = MGDConfig().build(pair_of(4, 4)).reconstruct
    with pytest.raises(ValueError, match="needs uniform draws"):
        reconstruct(torch.zeros(2, 4, 3, 3), None)


def test_terms_are_weighted() -> None:
    pair, maps = pair_of(4, 4, classes=3), torch.Generator().manual_seed(0)
    student, teacher = (_output(torch.randn(2, 4, 3, 3, generator=maps)) for _ in range(2))
    light, heavy = MGDConfig(mask="centre"), MGDConfig(mask="centre", kd_weight=3, fd_weight=2e-4)
    torch.manual_seed(0)
    first = light.build(pair)(student, teacher, LABELS, STEP)
    torch.manual_seed(0)
    second = heavy.build(pair)(student, teacher, LABELS, STEP)
    torch.testing.assert_close(second["kd"], 3 * first["kd"])
    torch.testing.assert_close(second["fd"], 5 * first["fd"])


def _output(feature: Tensor) -> Output:
    return Output(feature[:, :3], None, {"encoder": feature})
