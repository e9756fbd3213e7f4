"""Portable weights: the same loss in other units, and units that do not move with the sizes."""

from typing import Any

import pytest
import torch

from afdcd.config import FrozenConfig, UserError, validate
from afdcd.distillers.configs import AfDCDConfig, MGDConfig
from afdcd.distillers.portable import official, portable
from afdcd.models.outputs import Output
from tests.distillers.pairs import STEP, pair_of
from tests.distillers.portability import (
    CORNERS,
    PORTABLE,
    PUBLISHED,
    SMALL,
    STUDENTS,
    AsItIs,
    measure,
    over_the_corners,
)

PAIR = pair_of(6, 16, classes=3)
CITYSCAPES = pair_of(320, 2048, classes=19)
HW = (19, 23)  # whatever the pool and patch, some rows and columns are cut

CASES: dict[str, dict[str, Any]] = {
    "omni": {"groups": 4},
    "omni, all others": {"groups": 4, "negatives": "all_others"},
    "no pool, oblong patch": {"groups": 8, "pool": 0, "patch": [3, 5]},
    "spatial": {"groups": 3, "design": "spatial", "pool": 2},
    "channel": {"groups": 16, "design": "channel"},
    "no negatives": {"groups": 1},
    "no contrast": {"groups": 3, "contrast_weight": 0.0},
    "no fd": {"groups": 4, "fd_weight": 0.0},
}


@pytest.mark.parametrize("case", CASES)
def test_converted_settings_give_equal_terms_both_ways(case: str) -> None:
    there = validate(AfDCDConfig, {"tau": 0.9, **CASES[case]})
    here = portable(there, PAIR, HW)
    back = official(here, PAIR, HW)
    assert (there.weights, here.weights, back.weights) == ("official", "portable", "official")
    _assert_equal_terms(there, here)
    _assert_equal_terms(here, back)
    assert portable(here, PAIR, HW) == here
    assert official(there, PAIR, HW) == there


def test_fd_alone_converts_too() -> None:
    here = portable(MGDConfig(mask="centre"), PAIR, HW)
    assert here.fd_weight == pytest.approx(4e-5 * 16 * 19 * 23)
    _assert_equal_terms(MGDConfig(mask="centre"), here)
    _assert_equal_terms(official(here, PAIR, HW), here)


def test_units_worked_out_by_hand() -> None:
    """Two groups of one channel in one pixel: each token has one positive and one negative."""
    config = AfDCDConfig(
        weights="portable", kd_weight=0, fd_weight=1, contrast_weight=1, tau=2, groups=2,
        patch=1, pool=0, mask="centre",
    )  # fmt: skip
    student = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)
    teacher = torch.tensor([1.0, 4.0]).view(1, 2, 1, 1)
    distiller = config.build(pair_of(2, 2, classes=2))
    distiller.reconstruct = AsItIs()
    terms = distiller(_output(student), _output(teacher), LABELS, STEP)
    margins = (1 - 4, 2 - 1)  # |0-1| - |0-4| and |2-4| - |2-1|; base 2 = one negative and oneself
    by_hand = sum(torch.tensor(1 + 2 ** (m / 2)).log2().item() for m in margins) / 2
    assert terms["contrast"].item() == pytest.approx(by_hand)
    assert terms["fd"].item() == pytest.approx((1 + 4) / 2)


@pytest.mark.parametrize("method", [MGDConfig, AfDCDConfig])
def test_unset_weights_are_those_published_for_cityscapes(method: type[FrozenConfig]) -> None:
    """FD as converted; the contrast keeps weight / tau, which is what sizes its gradient."""
    here = validate(method, {"weights": "portable"})
    there = portable(PUBLISHED, CITYSCAPES, (64, 128))
    assert here.fd_weight == pytest.approx(there.fd_weight)
    assert here.kd_weight == there.kd_weight
    if method is AfDCDConfig:
        assert here.contrast_weight / here.tau == pytest.approx(there.contrast_weight / there.tau)
        given = validate(method, {"weights": "portable", "tau": 0.5, "fd_weight": 2.0})
        assert (given.tau, given.fd_weight) == (0.5, 2.0)
        assert given.contrast_weight == here.contrast_weight


def test_weights_are_one_of_two() -> None:
    with pytest.raises(UserError, match="weights: 'paper' is not one of 'official' or 'portable'"):
        validate(MGDConfig, {"weights": "paper"})


@pytest.mark.parametrize(
    "corners",
    [
        pytest.param(SMALL, id="small"),
        pytest.param(CORNERS, id="up to those of real runs", marks=pytest.mark.slow),
    ],
)
def test_values_and_gradients_move_by_less_than_a_tenth_over_crops_groups_and_widths(
    corners: tuple[tuple[int, int, int], ...],
) -> None:
    for term, found in over_the_corners(PORTABLE, STUDENTS["middle"], corners).items():
        assert len(found) == 8
        _assert_steady([measured.value for measured in found], term)
        _assert_steady([measured.gradient for measured in found], term)


@pytest.mark.parametrize("student", ["early", "late"])
def test_values_of_other_students_are_as_steady(student: str) -> None:
    for term, found in over_the_corners(PORTABLE, STUDENTS[student], SMALL).items():
        _assert_steady([measured.value for measured in found], term)


@pytest.mark.parametrize(
    ("design", "crop"),
    [
        ({"pool": 0}, 64),
        ({"negatives": "all_others"}, 256),
        ({"design": "spatial"}, 256),
        ({"design": "channel"}, 256),
        ({"patch": 8}, 256),
    ],
)
def test_every_design_is_as_steady(design: dict[str, Any], crop: int) -> None:
    config = PORTABLE.updated(**design, fd_weight=0.0)
    sizes = [(crop, channels, groups) for channels in (256, 2048) for groups in (4, 32)]
    for student in STUDENTS.values():
        found = over_the_corners(config, student, sizes)["contrast"]
        _assert_steady([measured.value for measured in found], str(student))


def test_official_values_follow_the_size() -> None:
    """What the portable weights are for."""
    config = official(PORTABLE, CITYSCAPES, (64, 128))
    small, large = (
        measure(config.updated(groups=groups), STUDENTS["middle"], (crop, crop), channels)
        for crop, groups, channels in ((256, 4, 256), (512, 32, 512))
    )
    assert large["fd"].value / small["fd"].value == pytest.approx(2 * 4, rel=0.05)
    assert large["contrast"].value > 8 * small["contrast"].value


def _assert_steady(values: list[float], what: str) -> None:
    assert max(values) < 1.1 * min(values), what


LABELS = torch.zeros(2, 8, 8, dtype=torch.int64)


def _assert_equal_terms(a: Any, b: Any) -> None:
    found = []
    for config in (a, b):
        torch.manual_seed(0)
        distiller = config.build(PAIR).double()
        maps = torch.Generator().manual_seed(1)
        student, teacher = (
            _output(torch.randn(2, channels, *HW, generator=maps, dtype=torch.float64))
            for channels in (6, 16)
        )
        found.append(distiller(student, teacher, LABELS, STEP))
    assert found[0].keys() == found[1].keys()
    for name, term in found[0].items():
        torch.testing.assert_close(found[1][name], term, rtol=1e-12, atol=0.0)


def _output(feature: torch.Tensor) -> Output:
    return Output(feature[:, :3], None, {"encoder": feature})
