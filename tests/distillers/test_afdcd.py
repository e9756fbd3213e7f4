"""Af-DCD through align, mask, projector and losses: the authors' numbers; sizes and switches."""

from typing import Any

import pytest
import torch
from torch import Tensor

from afdcd.config import UserError, validate
from afdcd.distillers.afdcd import AfDCD
from afdcd.distillers.algorithm import ALGORITHMS
from afdcd.distillers.configs import AfDCDConfig
from afdcd.models.outputs import Output
from tests import golden
from tests.distillers.pairs import STEP, given, pair_of

CASES = golden.afdcd_cases()
PAIR = pair_of(6, 8, classes=3)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("term", ["fd", "contrast"])
@pytest.mark.parametrize("algorithm", ALGORITHMS[1:])
def test_equals_the_authors_values_and_gradients(name: str, term: str, algorithm: str) -> None:
    arrays, theirs = golden.afdcd(name), {"fd": "fd", "contrast": "ctr"}[term]
    distiller = _authors(name, arrays)
    distiller.reconstruct.algorithm = algorithm
    student = arrays["feat_S"].requires_grad_()
    step = given(arrays["rand_U"]) if distiller.config.mask == "random" else STEP
    labels = LABELS[: len(student)]
    loss = distiller(_output(student), _output(arrays["feat_T"]), labels, step)[term]
    torch.testing.assert_close(loss, arrays[theirs], **golden.TOLERANCE)
    loss.backward()
    torch.testing.assert_close(student.grad, arrays[f"grad_S_{theirs}"], **golden.TOLERANCE)
    for key, norms in CASES[name]["param_grad_l2"].items():
        grad = distiller.get_parameter(_our_key(key)).grad
        assert grad.norm().item() == pytest.approx(norms[theirs], rel=1e-9, abs=1e-9), key


@pytest.mark.parametrize(
    ("config", "terms", "modules"),
    [
        ({}, {"kd", "fd", "contrast"}, True),
        ({"fd_weight": 0}, {"kd", "contrast"}, True),
        ({"contrast_weight": 0, "kd_weight": 0}, {"fd"}, True),
        ({"contrast_weight": 0, "fd_weight": 0}, {"kd"}, False),
    ],
)
def test_a_term_of_weight_zero_is_absent_with_its_modules(
    config: dict[str, float], terms: set[str], modules: bool
) -> None:
    """DDP waits for ever for the gradient of a parameter that no loss uses."""
    settings = AfDCDConfig.model_validate({"groups": 4, **config})
    distiller = settings.build(PAIR)
    student = _random(6)
    student.logits.requires_grad_()
    losses = distiller(student, _random(8), LABELS, STEP)
    assert losses.keys() == terms
    assert bool(list(distiller.parameters())) == ("encoder" in settings.needs.teacher) == modules
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in distiller.parameters())


def test_equal_widths_need_no_align() -> None:
    pair = pair_of(8, 8, classes=3)
    distiller = AfDCDConfig(groups=4).build(pair)
    assert not list(distiller.reconstruct.align.parameters())
    distiller(_random(8), _random(8), LABELS, STEP)


def test_enhanced_projector_is_the_mean_of_two_readouts() -> None:
    distiller = AfDCDConfig(groups=4, projector="enhanced").build(PAIR)
    x = torch.randn(1, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    p = distiller.reconstruct.projector
    first = p.hidden1(x).clamp(min=0)
    expected = 0.5 * p.readout1(first) + 0.5 * p.readout2(p.hidden2(first).clamp(min=0))
    torch.testing.assert_close(p(x), expected)
    assert sum(w.numel() for w in p.parameters()) == 4 * (8 * 8 * 9 + 8)


def test_spatial_design_is_one_group_against_all_others() -> None:
    spatial = _contrast({"design": "spatial", "groups": 16})
    omni = _contrast({"groups": 1, "negatives": "all_others"})
    torch.testing.assert_close(spatial, omni)
    assert spatial > 0


def test_channel_design_is_a_one_pixel_patch() -> None:
    channel = _contrast({"design": "channel", "groups": 4, "patch": [4, 2]})
    torch.testing.assert_close(channel, _contrast({"groups": 4, "patch": 1}))


def test_no_patch_compares_the_whole_pooled_map() -> None:
    whole = _contrast({"groups": 4, "patch": "none", "pool": 2})  # features are 16x16
    torch.testing.assert_close(whole, _contrast({"groups": 4, "patch": 8, "pool": 2}))
    assert whole != _contrast({"groups": 4, "patch": 4, "pool": 2})
    validate(AfDCDConfig, {"groups": 4, "patch": "none"}).check(PAIR, _crop((37, 53)))


@pytest.mark.parametrize(
    ("config", "feature_hw", "message"),
    [
        ({"groups": 3}, (64, 64), "groups 3 does not divide the teacher's 8 channels"),
        ({"groups": 4}, (12, 64), "patch 4x4 does not fit the 3x16 map"),
        ({"groups": 4, "patch": [1, 17]}, (64, 64), "patch 1x17 does not fit"),
    ],
)
def test_check_refuses_before_any_network_exists(
    config: dict[str, Any], feature_hw: tuple[int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        validate(AfDCDConfig, config).check(PAIR, _crop(feature_hw))


@pytest.mark.parametrize(
    "config",
    [
        {"groups": 3, "design": "spatial"},
        {"groups": 4, "patch": 99, "design": "channel"},
        {"groups": 3, "contrast_weight": 0},
        {"groups": 4, "pool": 0, "patch": [45, 45]},
    ],
)
def test_check_passes_what_the_contrast_will_take(config: dict[str, Any]) -> None:
    validate(AfDCDConfig, config).check(PAIR, _crop((45, 45)))


def test_notes_say_what_the_contrast_does_not_see() -> None:
    (note,) = AfDCDConfig(groups=4).notes(PAIR, _crop((67, 67)))
    assert note.startswith(
        "contrast: pool 4 and patch 4x4 use 64x64 of the 67x67 feature map (8.8 %"
    )
    assert "multiples of 128x128 pixels lose nothing" in note
    (note,) = AfDCDConfig(preset="camvid-pspnet-resnet18").notes(PAIR, _crop((45, 45)))
    assert "pool 0 and patch 4x4 use 44x44 of the 45x45 feature map (4.4 %" in note


@pytest.mark.parametrize(
    ("config", "feature_hw"),
    [
        ({"groups": 4}, (64, 128)),
        ({"design": "channel"}, (64, 60)),
        ({"contrast_weight": 0, "patch": 99}, (67, 67)),
    ],
)
def test_nothing_is_noted_where_all_is_used(
    config: dict[str, Any], feature_hw: tuple[int, int]
) -> None:
    assert validate(AfDCDConfig, config).notes(PAIR, _crop(feature_hw)) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"tau": 0.0},
        {"mask_ratio": 1.0},
        {"groups": 0},
        {"patch": 0},
        {"patch": "whole"},
        {"contrast_weight": -1.0},
        {"design": "temporal"},
    ],
)
def test_config_rejects(bad: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(bad))):
        validate(AfDCDConfig, bad)


LABELS = torch.zeros(2, 8, 8, dtype=torch.int64)


def _authors(name: str, arrays: dict[str, Tensor]) -> AfDCD:
    """The case's distiller with the authors' weights; they crop instead of pooling on CamVid."""
    case = CASES[name]
    config = AfDCDConfig(
        kd_weight=0,
        fd_weight=1,
        contrast_weight=1,
        mask="random" if case["rand_mask"] else "centre",
        mask_ratio=case["mask_ratio"],
        tau=case["tau_ocd"],
        groups=case["M_ocd"],
        patch=tuple(case["patch_size"]),
        pool=0 if case["dataset"] == "camvid" else case["pool_size"],
    )
    distiller = config.build(pair_of(case["student_channels"], case["teacher_channels"])).double()
    weights = {key[6:]: value for key, value in arrays.items() if key.startswith("param/")}
    named = {_our_key(key): value for key, value in weights.items()}
    distiller.load_state_dict(distiller.state_dict() | named)
    return distiller


def _our_key(key: str) -> str:
    return "reconstruct." + key.replace("projetor", "projector")


def _crop(feature_hw: tuple[int, int]) -> tuple[int, int]:
    return 8 * feature_hw[0], 8 * feature_hw[1]


def _output(feature: Tensor) -> Output:
    return Output(feature[:, :3], None, {"encoder": feature})


def _random(channels: int) -> Output:
    generator = torch.Generator().manual_seed(channels)
    return _output(torch.randn(2, channels, 16, 16, generator=generator))


def _contrast(config: dict[str, Any]) -> Tensor:
    """Built from the same seed each time, so that only `config` differs."""
    torch.manual_seed(0)
    distiller = validate(AfDCDConfig, config).build(PAIR)
    return distiller(_random(6), _random(8), LABELS, STEP)["contrast"]
