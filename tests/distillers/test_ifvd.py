"""IFVD: agreement with the port that made the published tables, and what labels it looks at."""

import pytest
import torch
from torch import Tensor

from afdcd.distillers.configs import IFVDConfig
from afdcd.losses.labels import NO_CLASS, labels_on_grid
from tests import golden
from tests.distillers.pairs import STEP
from tests.distillers.rivals import agrees, output, pair

ALONE = {"kd_weight": 0, "adversarial_weight": 0, "ifv_weight": 1.0}
CASES = {
    "ifvd_absent_classes": 6,
    "ifvd_255_odd_resize": 5,
    "ifvd_published_ratio8": 19,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("official", [True, False])
def test_equals_the_port(case: str, official: bool) -> None:
    kept = golden.rivals(case)
    student = kept["S"].requires_grad_()
    value = _value(student, kept["T"], kept["label"], CASES[case], official=official)
    agrees(value, {"grad_S": student}, case)


def test_equals_the_port_where_features_are_all_zero() -> None:
    kept = golden.rivals("ifvd_zero_features")
    before = kept["S_before_relu"].requires_grad_()
    value = _value(before.relu(), kept["T"], kept["label"], 4, official=True)
    agrees(value, {"grad_S_before_relu": before}, "ifvd_zero_features")


def test_without_a_label_nothing_is_learnt_but_officially() -> None:
    feature = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0)).relu()
    feature[0, :, 1, 1] = 0
    labels = torch.full((1, 24, 24), 255)
    teacher = torch.ones(1, 4, 3, 3)
    assert _value(feature, teacher, labels, 4, official=False) == 0
    assert _value(feature, teacher, labels, 4, official=True) > 0


@pytest.mark.parametrize("case", CASES)
def test_labels_are_those_of_the_port(case: str) -> None:
    kept = golden.rivals(case)
    small = kept["label_small"].long()
    expected = torch.where((small < 0) | (small >= CASES[case]), NO_CLASS, small)
    found = labels_on_grid(kept["label"], kept["S"].shape[2:], CASES[case])
    assert found.equal(expected)


def test_order_of_images_and_names_of_classes_do_not_matter() -> None:
    kept = golden.rivals("ifvd_absent_classes")
    maps = [kept[name] for name in ("S", "T", "label")]
    value = _value(*maps, 6)
    torch.testing.assert_close(_value(*(x.flip(0) for x in maps), 6), value)
    renamed = torch.where(kept["label"] < 0, -1, (kept["label"] + 2) % 6)
    torch.testing.assert_close(_value(*maps[:2], renamed, 6), value)


def test_a_dead_feature_takes_no_gradient() -> None:
    kept = golden.rivals("ifvd_zero_features")
    student = kept["S_before_relu"].relu().requires_grad_()
    _value(student, kept["T"], kept["label"], 4).backward()
    assert student.grad.abs().max() < 10


def _value(
    student: Tensor, teacher: Tensor, labels: Tensor, classes: int, *, official: bool = False
) -> Tensor:
    distiller = IFVDConfig(official=official, **ALONE).build(pair(classes)).double()
    logits = student.new_zeros(len(student), classes, 2, 2)
    (value,) = distiller(output(logits, student), output(logits, teacher), labels, STEP).values()
    return value
