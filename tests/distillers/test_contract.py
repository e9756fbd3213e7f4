"""What every distillation method keeps; a new one joins by being in the union."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from afdcd.config import FrozenConfig, UserError, validate
from afdcd.distillers.configs import AfDCDConfig, DistillerConfig, NoneConfig, PairShapes
from afdcd.models.outputs import SegOutput

METHODS = get_args(get_args(DistillerConfig)[0])
DISTILLING = [config for config in METHODS if config is not NoneConfig]
PAIR = PairShapes(student_channels=8, teacher_channels=48, classes=5, stride=8)
IMAGES, FEATURE_HW = 3, (16, 32)  # all axes differ, so that none can be taken for another
LABELS = torch.zeros(IMAGES, *(side * PAIR.stride for side in FEATURE_HW), dtype=torch.int64)


def _names(config: type[FrozenConfig]) -> str:
    return config.model_fields["method"].default


every_method = pytest.mark.parametrize("config", METHODS, ids=_names)
every_distilling_method = pytest.mark.parametrize("config", DISTILLING, ids=_names)


def test_none_has_no_terms_and_nothing_to_learn() -> None:
    distiller = NoneConfig().build(PAIR)
    assert distiller(_student(), _teacher(), LABELS, None) == {}
    assert list(distiller.parameters()) == []
    assert distiller.state_dict() == {}
    assert not distiller.needs_uniform
    assert not distiller.needs_logits


def test_what_follows_is_asked_of_methods_of_every_sort() -> None:
    """With and without weights of their own, with and without a mask."""
    built = {_names(config): _build(config) for config in DISTILLING}
    assert {"kd", "fd", "afdcd"} <= built.keys()
    assert {bool(distiller.state_dict()) for distiller in built.values()} == {True, False}
    assert {distiller.needs_uniform for distiller in built.values()} == {True, False}


@every_distilling_method
def test_terms_are_finite_scalars_and_reach_the_student(config: type[FrozenConfig]) -> None:
    distiller = _build(config)
    student = _student()
    terms = distiller(student, _teacher(), LABELS, _uniform(distiller))
    assert terms
    for name, term in terms.items():
        assert term.shape == (), name
        assert term.isfinite(), name
        inputs = [student.logits, student.features["encoder"]]
        grads = torch.autograd.grad(term, inputs, retain_graph=True, allow_unused=True)
        assert any(grad is not None and grad.any() for grad in grads), name


@every_distilling_method
def test_logits_that_are_not_needed_may_be_missing(config: type[FrozenConfig]) -> None:
    """A teacher whose head nobody looks at does not run it."""
    whole = _build(config)
    every_term = whole(_student(), _teacher(), LABELS, _uniform(whole))
    assert whole.needs_logits == ("kd" in every_term)
    weights = {"weight", "kd_weight"} & config.model_fields.keys()
    torch.manual_seed(0)
    distiller: Any = config().updated(**dict.fromkeys(weights, 0.0)).build(PAIR)
    assert not distiller.needs_logits
    teacher = _teacher()
    headless = SegOutput(teacher.logits[:, :0], None, teacher.features)
    terms = distiller(_student(), headless, LABELS, _uniform(distiller))
    assert terms == {name: term for name, term in every_term.items() if name != "kd"}


@every_distilling_method
def test_inputs_are_unchanged(config: type[FrozenConfig]) -> None:
    distiller = _build(config)
    student, teacher = _student(), _teacher()
    before = [tensor.detach().clone() for tensor in _tensors(student, teacher)]
    distiller(student, teacher, LABELS, _uniform(distiller))
    for tensor, copy in zip(_tensors(student, teacher), before, strict=True):
        assert tensor.equal(copy)


@every_distilling_method
def test_same_inputs_give_same_terms(config: type[FrozenConfig]) -> None:
    """All chance is in `uniform`: resuming a run repeats it."""
    distiller = _build(config)
    first, second = (
        distiller(_student(), _teacher(), LABELS, _uniform(distiller)) for _ in range(2)
    )
    assert first
    assert first == second


@every_distilling_method
def test_mean_over_workers_is_the_term_of_the_whole_batch(config: type[FrozenConfig]) -> None:
    distiller = _build(config)
    student, teacher, uniform = _student(), _teacher(), _uniform(distiller)
    whole = distiller(student, teacher, LABELS, uniform)
    parts = [
        distiller(
            _slice(student, i), _slice(teacher, i), LABELS[i : i + 1],
            None if uniform is None else uniform[i : i + 1],
        )
        for i in range(IMAGES)
    ]  # fmt: skip
    assert whole
    for name, term in whole.items():
        torch.testing.assert_close(torch.stack([part[name] for part in parts]).mean(), term)


@every_distilling_method
def test_state_is_all_that_a_resumed_run_needs(config: type[FrozenConfig]) -> None:
    distiller, other = _build(config), _build(config, seed=1)
    arguments = _student(), _teacher(), LABELS, _uniform(distiller)
    terms = distiller(*arguments)
    learns = bool(list(distiller.parameters()))
    assert (other(*arguments) != terms) == learns  # a method without weights has no other start
    other.load_state_dict(distiller.state_dict())
    assert other(*arguments) == terms


@every_method
def test_config_is_selected_by_method_and_survives_plain_values(
    config: type[FrozenConfig],
) -> None:
    chosen = validate(Holder, {"distiller": {"method": config.model_fields["method"].default}})
    assert type(chosen.distiller) is config
    assert validate(Holder, chosen.plain()) == chosen
    chosen.distiller.check(PAIR, FEATURE_HW)


def test_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'kdd' is not one of .*none.*kd.*fd.*afdcd"):
        validate(Holder, {"distiller": {"method": "kdd"}})


def test_loss_arithmetic_survives_autocast() -> None:
    """bf16 features, as under autocast: the terms stay fp32, and near those of fp32 features."""
    distiller = _build(AfDCDConfig)
    uniform = _uniform(distiller)
    exact = distiller(_student(), _teacher(), LABELS, uniform)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = distiller(_student(), _teacher(), LABELS, uniform)
    assert terms.keys() == exact.keys() == {"kd", "fd", "contrast"}
    for name, term in terms.items():
        assert term.dtype == torch.float32, name
        torch.testing.assert_close(term, exact[name], rtol=0.05, atol=0.0)


class Holder(FrozenConfig):
    distiller: DistillerConfig


def _build(config: type[FrozenConfig], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    built: Any = config().build(PAIR)
    return built


def _student() -> SegOutput:
    return _output(PAIR.student_channels)


def _teacher() -> SegOutput:
    return _output(PAIR.teacher_channels)


def _output(channels: int) -> SegOutput:
    generator = torch.Generator().manual_seed(channels)
    logits = torch.randn(IMAGES, PAIR.classes, *FEATURE_HW, generator=generator)
    feature = torch.randn(IMAGES, channels, *FEATURE_HW, generator=generator)
    return SegOutput(logits.requires_grad_(), None, {"encoder": feature.requires_grad_()})


def _slice(output: SegOutput, i: int) -> SegOutput:
    features = {name: feature[i : i + 1] for name, feature in output.features.items()}
    return SegOutput(output.logits[i : i + 1], None, features)


def _tensors(*outputs: SegOutput) -> list[Tensor]:
    return [tensor for out in outputs for tensor in (out.logits, out.features["encoder"])]


def _uniform(distiller: nn.Module) -> Tensor | None:
    if not distiller.needs_uniform:
        return None
    return torch.rand(IMAGES, 1, *FEATURE_HW, generator=torch.Generator().manual_seed(1))
