"""Masked reconstruction: every algorithm gives the same; which is taken, and what that hangs on."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from afdcd.distillers import projector
from afdcd.distillers.algorithm import ALGORITHMS, Algorithm
from afdcd.distillers.configs import AfDCDConfig, PairShapes
from afdcd.distillers.projector import MaskedReconstruction
from tests.distillers.pairs import pair_of

PAIR = pair_of(5, 6, classes=3)
EQUAL = pair_of(6, 6, classes=3)


@pytest.mark.parametrize("algorithm", ALGORITHMS[2:])
@pytest.mark.parametrize("mask", ["random", "centre"])
@pytest.mark.parametrize("kind", ["plain", "enhanced"])
@pytest.mark.parametrize("pair", [PAIR, EQUAL])
def test_every_algorithm_gives_what_dense_gives(
    algorithm: str, mask: str, kind: str, pair: PairShapes
) -> None:
    module = _module(pair, mask=mask, projector=kind).double()
    feature, uniform = _inputs(pair)
    results = []
    for module.algorithm in ("dense", algorithm):
        rebuilt = module(feature, uniform)
        loss = rebuilt.square().sum()
        results.append((rebuilt, *torch.autograd.grad(loss, (feature, *module.parameters()))))
    for dense, other in zip(*results, strict=True):
        torch.testing.assert_close(other, dense)


def test_autocast_projects_in_half_precision_whatever_the_algorithm() -> None:
    module = _module(EQUAL)
    feature, uniform = (x.float() for x in _inputs(EQUAL))
    module.algorithm = "dense"
    exact = module(feature, uniform)
    for module.algorithm in ALGORITHMS[1:]:
        with torch.autocast("cpu", torch.bfloat16):
            rebuilt = module(feature, uniform)
        assert rebuilt.dtype == torch.bfloat16
        torch.testing.assert_close(rebuilt.float(), exact, rtol=0.05, atol=0.01)


def _measured(_: str, measure: Callable[[], Algorithm]) -> Algorithm:
    return measure()


def test_fastest_is_measured_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "SMALL", 0)
    measured = []

    def seconds(self: MaskedReconstruction, sample: Tensor, mask: Tensor, algorithm: str) -> float:
        measured.append(algorithm)
        return {"dense": 2.0, "kept": 1.0}[algorithm]

    monkeypatch.setattr(MaskedReconstruction, "_seconds", seconds)
    module = _module(PAIR).double()
    module.choose = _measured
    with torch.no_grad():
        module(*_inputs(PAIR))
    assert module.algorithm == "auto"  # what is not trained is not measured
    module(*_inputs(PAIR))
    assert module.algorithm == "kept"
    assert {"dense", "kept"} == set(measured)
    count = len(measured)
    module(*_inputs(PAIR))
    assert len(measured) == count


def test_measuring_leaves_no_gradient_and_draws_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "SMALL", 0)
    module = _module(PAIR).double()
    module.choose = _measured
    before = torch.get_rng_state()
    feature, uniform = _inputs(PAIR)
    module(feature, uniform)
    assert torch.get_rng_state().equal(before)
    assert feature.grad is None
    assert all(parameter.grad is None for parameter in module.parameters())


def test_small_maps_are_not_worth_measuring() -> None:
    module = _module(PAIR).double()
    module(*_inputs(PAIR))
    assert module.algorithm == "dense"


@pytest.mark.parametrize(("mask", "expected"), [("random", "kept"), ("centre", "dense")])
def test_without_a_record_no_stopwatch_decides(
    monkeypatch: pytest.MonkeyPatch, mask: str, expected: str
) -> None:
    """Else two runs of one setting would round differently."""

    def no_clock() -> float:
        raise AssertionError("it looked at a clock")

    monkeypatch.setattr(projector, "SMALL", 0)
    monkeypatch.setattr(projector.time, "perf_counter", no_clock)
    module = _module(PAIR, mask=mask).double()
    module(*_inputs(PAIR))
    assert module.algorithm == expected


def test_a_record_is_asked_by_all_that_a_measurement_depends_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projector, "SMALL", 0)
    asked: list[str] = []

    def choose(case: str, measure: Callable[[], Algorithm]) -> Algorithm:
        asked.append(case)
        return "winograd"

    def case(pair: PairShapes, images: int = 2, half: bool = False, **settings: str) -> None:
        module = _module(pair, **settings)
        module.choose = choose
        feature, uniform = (x[:images].float() for x in _inputs(pair))
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            module(feature, uniform)
        assert module.algorithm == "winograd"

    case(PAIR)
    case(PAIR)
    assert asked == ["cpu, torch.float32, 2x5x9x7 to 6 channels, plain projector, hidden 0.75"] * 2
    case(PAIR, images=1)
    case(PAIR, half=True)
    case(EQUAL)
    case(PAIR, projector="enhanced")
    case(PAIR, mask="centre")
    assert len(set(asked)) == 6


def test_choice_is_part_of_the_state() -> None:
    """A resumed run must round as the uninterrupted one."""
    module, other = _module(PAIR), _module(PAIR)
    module.algorithm = "kept+winograd"
    other.load_state_dict(module.state_dict())
    assert other.algorithm == "kept+winograd"


def _module(pair: PairShapes, **settings: str) -> MaskedReconstruction:
    torch.manual_seed(0)
    return MaskedReconstruction(AfDCDConfig.model_validate(settings), pair)


def _inputs(pair: PairShapes) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    feature = torch.randn(
        2, pair.channels("encoder")[0], 9, 7, generator=generator, dtype=torch.float64
    )
    return feature.requires_grad_(), torch.rand(2, 1, 9, 7, generator=generator)
