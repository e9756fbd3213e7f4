"""CWD: agreement with the port that made the published tables, and with CWD's own code."""

import pytest
import torch
from torch import Tensor

from afdcd.distillers.configs import CWDConfig
from afdcd.losses.channel_kl import channel_kl
from tests import golden
from tests.distillers.pairs import STEP
from tests.distillers.rivals import CLOSE, agrees, output, pair

NOTHING = torch.zeros(1, 8, 8, dtype=torch.int64)
FEATURE = {"kd_weight": 0, "adversarial_weight": 0, "logits_weight": 0, "feature_weight": 1.0}


@pytest.mark.parametrize(
    ("case", "temperatures"), [("cwd_logits_5x9", (1, 2, 4, 10)), ("cwd_logits_12x4_b1", (1, 4))]
)
def test_logits_term_is_the_ports(case: str, temperatures: tuple[int, ...]) -> None:
    kept = golden.rivals(case)
    student = kept["S"].requires_grad_()
    for temperature in temperatures:
        value = channel_kl(student, kept["T"], float(temperature))
        key = f"T{temperature}"
        agrees(value, {f"grad_S_{key}": student}, case, f"loss_{key}")


def test_a_channel_that_spreads_far_stays_finite() -> None:
    """There softmax and then logarithm is nan."""
    kept = golden.rivals("cwd_logits_overflow")
    student = kept["S"].requires_grad_()
    for temperature, key in ((1, "T1_log_softmax"), (4, "T4")):
        value = channel_kl(student, kept["T"], float(temperature))
        agrees(value, {f"grad_S_{key}": student}, "cwd_logits_overflow", f"loss_{key}")
    assert channel_kl(student.float() * 100, kept["T"].float(), 1.0).isfinite()


@pytest.mark.parametrize(
    ("case", "temperature"),
    [
        ("cwd_feat_6to9_5x9", 1),
        ("cwd_feat_6to9_5x9", 4),
        ("cwd_feat_equal_7x3", 2),
        ("cwd_feat_4to8_3x10_b4", 4),
    ],
)
def test_feature_term_is_the_ports(case: str, temperature: int) -> None:
    kept = golden.rivals(case)
    student, key = kept["S"].requires_grad_(), f"T{temperature}"
    distiller = _feature(kept, official=True, temperature=temperature)
    inputs = {f"grad_S_{key}": student}
    if f"grad_conv_{key}" in kept:
        inputs[f"grad_conv_{key}"] = distiller.align.weight
    else:
        assert not list(distiller.parameters())
    agrees(_value(distiller, student, kept["T"]), inputs, case, f"loss_{key}")


def test_feature_term_of_ours_is_divided_by_what_is_compared() -> None:
    """As CWD's own code does it."""
    kept = golden.others("cwd_feat_official_given_aligned")
    value = _value(_feature(kept, official=False, temperature=4), kept["S"], kept["T"])
    torch.testing.assert_close(value, kept["loss"], **CLOSE)


def test_the_whole_method_is_the_ports() -> None:
    kept = golden.rivals("cwd_total")
    distiller = CWDConfig(official=True, adversarial_weight=0).build(pair(5, 4, 8)).double()
    distiller.align.load_state_dict({"weight": kept["conv"]})
    logits, head = kept["S_logits"].requires_grad_(), kept["S"].requires_grad_()
    teacher = output(kept["T_logits"], kept["T"])
    terms = distiller(output(logits, head), teacher, NOTHING, STEP)
    inputs = {"grad_S_logits": logits, "grad_S": head, "grad_conv": distiller.align.weight}
    agrees(sum(terms.values()), inputs, "cwd_total", "total")


def test_places_have_no_order_and_a_channel_no_zero() -> None:
    kept = golden.rivals("cwd_logits_5x9")
    value = channel_kl(kept["S"], kept["T"], 4.0)
    turned = channel_kl(kept["S"].flip(2, 3), kept["T"].flip(2, 3), 4.0)
    torch.testing.assert_close(turned, value)
    shifted = kept["S"] + torch.arange(5.0)[:, None, None]
    torch.testing.assert_close(channel_kl(shifted, kept["T"], 4.0), value)


def _feature(kept: dict[str, Tensor], *, official: bool, temperature: float) -> torch.nn.Module:
    config = CWDConfig(official=official, channel_temperature=temperature, **FEATURE)
    distiller = config.build(pair(2, kept["S"].shape[1], kept["T"].shape[1])).double()
    if list(distiller.parameters()):
        distiller.align.load_state_dict({"weight": kept["conv"]})
    return distiller


def _value(distiller: torch.nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
    logits = student.new_zeros(len(student), 2, 2, 2)
    (value,) = distiller(output(logits, student), output(logits, teacher), NOTHING, STEP).values()
    return value
