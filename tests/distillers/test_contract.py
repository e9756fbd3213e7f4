"""What every distillation method keeps; a new one joins by being in the union."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from afdcd.config import FrozenConfig, UserError, validate
from afdcd.distillers.configs import AfDCDConfig, DistillerConfig, NoneConfig, PairShapes
from afdcd.models.outputs import SegOutput

METHODS = get_args(get_args(DistillerConfig)[0])
PAIR = PairShapes(student_channels=8, teacher_channels=16, classes=5, stride=8)
FEATURE_HW = (16, 16)
LABELS = torch.zeros(2, 128, 128, dtype=torch.int64)

every_method = pytest.mark.parametrize("config", METHODS, ids=lambda c: c.__name__)


@every_method
def test_terms_are_finite_scalars_and_reach_the_student(config: type[FrozenConfig]) -> None:
    distiller = _build(config)
    student, teacher = _output(8), _output(16)
    terms = distiller(student, teacher, LABELS, _uniform(distiller))
    assert bool(terms) == (config is not NoneConfig)
    for name, term in terms.items():
        assert term.shape == (), name
        assert term.isfinite(), name
        inputs = [student.logits, student.features["encoder"]]
        grads = torch.autograd.grad(term, inputs, retain_graph=True, allow_unused=True)
        assert any(grad is not None and grad.any() for grad in grads), name


@every_method
def test_logits_that_are_not_needed_may_be_missing(config: type[FrozenConfig]) -> None:
    """A teacher whose head nobody looks at does not run it."""
    weights = {"weight", "kd_weight"} & config.model_fields.keys()
    distiller: Any = config().updated(**dict.fromkeys(weights, 0.0)).build(PAIR)
    assert not distiller.needs_logits
    teacher = _output(16)
    headless = SegOutput(teacher.logits[:, :0], None, teacher.features)
    arguments = LABELS, _uniform(distiller)
    with_logits = distiller(_output(8), teacher, *arguments)
    assert distiller(_output(8), headless, *arguments) == with_logits
    assert _build(config).needs_logits == (
        "kd" in _build(config)(_output(8), teacher, LABELS, _uniform(_build(config)))
    )


@every_method
def test_inputs_are_unchanged(config: type[FrozenConfig]) -> None:
    distiller = _build(config)
    student, teacher = _output(8), _output(16)
    before = [tensor.detach().clone() for tensor in _tensors(student, teacher)]
    distiller(student, teacher, LABELS, _uniform(distiller))
    for tensor, copy in zip(_tensors(student, teacher), before, strict=True):
        assert tensor.equal(copy)


@every_method
def test_same_inputs_give_same_terms(config: type[FrozenConfig]) -> None:
    """All chance is in `uniform`: resuming a run repeats it."""
    distiller = _build(config)
    first, second = (
        distiller(_output(8), _output(16), LABELS, _uniform(distiller)) for _ in range(2)
    )
    assert first == second


@every_method
def test_mean_over_workers_is_the_term_of_the_whole_batch(config: type[FrozenConfig]) -> None:
    distiller = _build(config)
    student, teacher, uniform = _output(8), _output(16), _uniform(distiller)
    whole = distiller(student, teacher, LABELS, uniform)
    parts = [
        distiller(
            _slice(student, i), _slice(teacher, i), LABELS[i : i + 1],
            None if uniform is None else uniform[i : i + 1],
        )
        for i in range(2)
    ]  # fmt: skip
    for name, term in whole.items():
        torch.testing.assert_close((parts[0][name] + parts[1][name]) / 2, term)


@every_method
def test_state_dict_round_trip(config: type[FrozenConfig]) -> None:
    torch.manual_seed(0)
    distiller, other = _build(config), _build(config)
    other.load_state_dict(distiller.state_dict())
    arguments = _output(8), _output(16), LABELS, _uniform(distiller)
    assert distiller(*arguments) == other(*arguments)


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
    torch.manual_seed(0)
    distiller = AfDCDConfig().build(PAIR)
    uniform = _uniform(distiller)
    exact = distiller(_output(8), _output(16), LABELS, uniform)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = distiller(_output(8), _output(16), LABELS, uniform)
    for name, term in terms.items():
        assert term.dtype == torch.float32, name
        torch.testing.assert_close(term, exact[name], rtol=0.05, atol=0.0)


class Holder(FrozenConfig):
    distiller: DistillerConfig


def _build(config: type[FrozenConfig]) -> nn.Module:
    built: Any = config().build(PAIR)
    return built


def _output(channels: int) -> SegOutput:
    generator = torch.Generator().manual_seed(channels)
    logits = torch.randn(2, 5, *FEATURE_HW, generator=generator)
    feature = torch.randn(2, channels, *FEATURE_HW, generator=generator)
    return SegOutput(logits.requires_grad_(), None, {"encoder": feature.requires_grad_()})


def _slice(output: SegOutput, i: int) -> SegOutput:
    features = {name: feature[i : i + 1] for name, feature in output.features.items()}
    return SegOutput(output.logits[i : i + 1], None, features)


def _tensors(*outputs: SegOutput) -> list[Tensor]:
    return [tensor for out in outputs for tensor in (out.logits, out.features["encoder"])]


def _uniform(distiller: nn.Module) -> Tensor | None:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 1, *FEATURE_HW, generator=generator) if distiller.needs_uniform else None
