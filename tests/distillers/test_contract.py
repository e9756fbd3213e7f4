"""What every distillation method keeps; a new one joins by being in the union.

What needs several ranks, or a student that really trains, is in test_together.py.
"""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from afdcd.config import FrozenConfig, UserError, validate
from afdcd.distillers.configs import (
    METHODS,
    CombinedConfig,
    DistillerConfig,
    MethodConfig,
    Needs,
    NoneConfig,
    SKDConfig,
)
from afdcd.distillers.context import StepContext
from afdcd.distillers.maskd import MasKDTokens
from afdcd.models.outputs import Output
from tests.distillers.pairs import STEP, pair_of


class WassersteinSKD(SKDConfig):
    """One of the methods with a second player, by the loss of their own code."""

    adversarial_loss: Literal["hinge", "wgan-gp"] = "wgan-gp"


DISTILLING = [*(config for config in METHODS.values() if config is not NoneConfig), WassersteinSKD]
PAIR = pair_of(8, 48, classes=5)
IMAGES, FEATURE_HW = 3, (16, 32)  # all axes differ, so that none can be taken for another
CROP = (128, 256)
LABELS = torch.randint(0, 6, (IMAGES, *CROP), generator=torch.Generator().manual_seed(5))
LABELS[LABELS == 5] = 255  # of all classes, and some of none
BF16 = 0.05  # how far a term may be off under autocast, relative to fp32
BACK = 0.9  # and the cosine of its gradient with that of fp32, at least


def _names(config: type[MethodConfig]) -> str:
    return config.model_fields["method"].default


# As settings by default, but for a method that has none.
ASKED = {CombinedConfig: {"terms": {"cwd": {"kd_weight": 0}, "afdcd": {}}}}
every_method = pytest.mark.parametrize("config", METHODS.values(), ids=_names)
every_distilling_method = pytest.mark.parametrize("config", DISTILLING, ids=_names)
every_method_with_a_second_player = pytest.mark.parametrize(
    "config", [c for c in DISTILLING if "adversarial_weight" in c.model_fields], ids=_names
)


def test_none_has_no_terms_and_nothing_to_learn() -> None:
    distiller = NoneConfig().build(PAIR)
    assert distiller(_student(), _teacher(), LABELS, STEP) == {}
    assert list(distiller.parameters()) == []
    assert distiller.state_dict() == {}
    assert NoneConfig().needs == Needs()


def test_what_follows_is_asked_of_methods_of_every_sort() -> None:
    """With and without weights of their own, of one image and of several, with a second player."""
    built = {_names(config): _build(config) for config in DISTILLING}
    assert {"kd", "mgd", "afdcd"} <= built.keys()
    assert {bool(distiller.state_dict()) for distiller in built.values()} == {True, False}
    assert built["skd"].adversary is not None
    assert _settings(METHODS["cirkd"]).couples_images


@every_distilling_method
def test_terms_are_finite_scalars_and_reach_student_and_adapters(
    config: type[MethodConfig],
) -> None:
    distiller = _build(config)
    student = _student()
    terms = distiller(student, _teacher(), LABELS, STEP)
    assert terms
    for name, term in terms.items():
        assert term.shape == (), name
        assert term.isfinite(), name
        inputs = list(distiller.parameters()) if config.PREPARES else _tensors(student)
        grads = torch.autograd.grad(term, inputs, retain_graph=True, allow_unused=True)
        assert any(grad is not None and grad.any() for grad in grads), name
    second = set(distiller.adversary.parameters()) if distiller.adversary is not None else set()
    adapters = [p for p in distiller.parameters() if p not in second]
    if adapters:
        grads = torch.autograd.grad(sum(terms.values()), adapters)  # raises where one is unused
        assert any(grad.any() for grad in grads)


@every_distilling_method
def test_maps_that_are_not_needed_may_be_missing(config: type[MethodConfig]) -> None:
    """A teacher computes no more than what its student's method reads."""
    distiller, again = _build(config), _build(config)
    needs = _settings(config).needs
    assert needs.teacher <= PAIR.taps.keys()
    assert needs.student <= PAIR.taps.keys()
    little = _only(_student(), needs.student), _only(_teacher(), needs.teacher)
    whole = distiller(_student(), _teacher(), LABELS, STEP)
    assert again(*little, LABELS, STEP) == whole


@pytest.mark.parametrize(
    "config", [c for c in DISTILLING if not c.PREPARES and c not in ASKED], ids=_names
)
def test_a_weight_of_zero_needs_nothing(config: type[MethodConfig]) -> None:
    weights = [key for key in config.model_fields if key == "weight" or key.endswith("_weight")]
    nothing = config().updated(**dict.fromkeys(weights, 0.0))
    assert nothing.needs == Needs()
    assert nothing.build(PAIR)(_student(), _teacher(), LABELS, STEP) == {}


@every_distilling_method
def test_inputs_are_unchanged(config: type[MethodConfig]) -> None:
    distiller = _build(config)
    student, teacher = _student(), _teacher()
    before = [tensor.detach().clone() for tensor in _tensors(student, teacher)]
    distiller(student, teacher, LABELS, STEP)
    for tensor, copy in zip(_tensors(student, teacher), before, strict=True):
        assert tensor.equal(copy)


@every_distilling_method
def test_same_inputs_give_same_terms(config: type[MethodConfig]) -> None:
    """All chance is in the step: resuming a run repeats it."""
    first, second = _build(config), _build(config)
    torch.manual_seed(1)
    expected = first(_student(), _teacher(), LABELS, STEP)
    torch.manual_seed(2)
    assert expected
    assert second(_student(), _teacher(), LABELS, STEP) == expected


@pytest.mark.parametrize("config", DISTILLING, ids=_names)
def test_mean_over_parts_is_the_term_of_the_whole_batch(config: type[MethodConfig]) -> None:
    """So a batch may be taken in parts; a method that couples images is not asked to."""
    alone = {"adversarial_weight": 0.0} if "adversarial_weight" in config.model_fields else {}
    settings = _settings(config).updated(**alone)
    if settings.couples_images:
        return
    torch.manual_seed(0)
    distiller = settings.build(PAIR)
    student, teacher = _student(), _teacher()
    whole = distiller(student, teacher, LABELS, STEP)
    parts = [
        distiller(
            _slice(student, i),
            _slice(teacher, i),
            LABELS[i : i + 1],
            StepContext(seed=0, iteration=0, part=i, parts=IMAGES),
        )
        for i in range(IMAGES)
    ]
    assert whole
    for name, term in whole.items():
        torch.testing.assert_close(torch.stack([part[name] for part in parts]).mean(), term)


@every_distilling_method
def test_state_is_all_that_a_resumed_run_needs(config: type[MethodConfig]) -> None:
    distiller, other = _build(config), _build(config, seed=1)
    first = {name: value.clone() for name, value in distiller.state_dict().items()}
    arguments = _student(), _teacher(), LABELS, STEP
    terms = distiller(*arguments)
    learns = bool(list(distiller.parameters()))
    assert (other(*arguments) != terms) == learns  # a method without weights has no other start
    other.load_state_dict(first)
    assert other(*arguments) == terms


@every_distilling_method
def test_loss_arithmetic_survives_autocast(config: type[MethodConfig]) -> None:
    """bf16 features, as under autocast: the terms stay fp32, near those of fp32, and lead the same way."""
    exact, gradient = _with_gradient(_build(config), autocast=False)
    terms, half = _with_gradient(_build(config), autocast=True)
    assert terms.keys() == exact.keys()
    for name, term in terms.items():
        assert term.dtype == torch.float32, name
        torch.testing.assert_close(term, exact[name], rtol=BF16, atol=BF16 * 0.1)
    assert torch.cosine_similarity(half, gradient, dim=0) > BACK


@every_distilling_method
def test_compiled_it_computes_the_same(config: type[MethodConfig]) -> None:
    torch._dynamo.reset()
    terms, gradient = _with_gradient(_build(config), autocast=False)
    compiled = torch.compile(_build(config), backend="aot_eager")
    found, compiled_gradient = _with_gradient(compiled, autocast=False)
    torch.testing.assert_close(found, terms)
    torch.testing.assert_close(compiled_gradient, gradient)


@every_distilling_method
def test_the_host_never_waits_for_the_device(config: type[MethodConfig]) -> None:
    """No value is read back and no size depends on one, else a GPU would stand still meanwhile."""
    with _Watched() as watched:
        _with_gradient(_build(config), autocast=False)
    assert watched.count
    assert not watched.read


@every_method_with_a_second_player
@pytest.mark.parametrize("autocast", [False, True])
def test_a_second_player_learns_by_itself_in_full_precision(
    config: type[MethodConfig], autocast: bool
) -> None:
    """Its terms are finite, equal under autocast, and reach all of it and nothing of the student."""
    (player, terms), (again, expected) = (_played(config, on) for on in (autocast, False))
    torch.testing.assert_close(terms, expected, rtol=0, atol=0)
    for name, term in terms.items():
        assert term.shape == () and term.dtype == torch.float32 and term.isfinite(), name
    for one in (player, again):
        grads = [parameter.grad for parameter in one.parameters()]
        assert all(grad.isfinite().all() for grad in grads)
        assert any(grad.any() for grad in grads)
    for one, other in zip(player.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)


@every_method_with_a_second_player
def test_the_host_does_not_wait_for_a_second_player(config: type[MethodConfig]) -> None:
    with _Watched() as watched:
        _played(config)
    assert watched.count
    assert not watched.read


def _played(
    config: type[MethodConfig], autocast: bool = False
) -> tuple[nn.Module, dict[str, Tensor]]:
    """The second player after the backward pass of its terms."""
    player, student = _build(config).adversary, _student()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        terms = player(student.detached(), _teacher(), LABELS, STEP)
    sum(terms.values()).backward()
    assert all(tensor.grad is None for tensor in _tensors(student))
    return player, terms


class _Watched(TorchDispatchMode):
    READING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.count, self.read = 0, []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        name = func.overloadpacket.__name__
        if name.startswith(self.READING):
            self.read.append(name)
        return func(*args, **(kwargs or {}))


def test_what_watches_the_host_sees_a_value_that_is_read() -> None:
    with _Watched() as watched:
        torch.ones(2).sum().item()
        torch.ones(2)[torch.tensor([True, False])]
    assert {"_local_scalar_dense", "nonzero"} & set(watched.read) >= {"_local_scalar_dense"}


@every_method
def test_config_is_selected_by_method_and_survives_plain_values(
    config: type[MethodConfig],
) -> None:
    asked = {"method": config.model_fields["method"].default, **ASKED.get(config, {})}
    chosen = validate(Holder, {"distiller": asked})
    assert type(chosen.distiller) is config
    assert validate(Holder, chosen.plain()) == chosen
    chosen.distiller.check(PAIR, CROP)
    assert isinstance(chosen.distiller.notes(PAIR, CROP), list)


def test_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'kdd' is not one of .*none.*kd.*mgd.*afdcd"):
        validate(Holder, {"distiller": {"method": "kdd"}})


def test_the_name_that_mgd_had_first_is_read_and_is_the_same_run() -> None:
    now = validate(Holder, {"distiller": {"method": "mgd", "mask_ratio": 0.5}}).distiller
    assert validate(Holder, {"distiller": {"method": "fd", "mask_ratio": 0.5}}).distiller == now
    later = {"logits_weight", "channel_temperature", "clip_adapters"}
    of_then = {key: value for key, value in now.plain().items() if key not in later}
    assert now.identity() == {**of_then, "method": "fd"}


class Holder(FrozenConfig):
    distiller: DistillerConfig


def _build(config: type[MethodConfig], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return _settings(config).build(PAIR)


def _settings(config: type[MethodConfig]) -> MethodConfig:
    return config.model_validate(ASKED.get(config, {}))


def _with_gradient(distiller: nn.Module, *, autocast: bool) -> tuple[dict[str, Tensor], Tensor]:
    """The terms, and the gradient of their sum in the student's maps as one vector."""
    student, teacher = _student(), _teacher()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        terms = distiller(student, teacher, LABELS, STEP)
    learns = [p for p in distiller.parameters() if p.requires_grad]
    maps = learns if not _reads_student(distiller) else _tensors(student)
    grads = torch.autograd.grad(sum(terms.values()), maps, allow_unused=True)
    return terms, torch.cat([grad.flatten() for grad in grads if grad is not None])


def _student() -> Output:
    return _output(8)


def _teacher() -> Output:
    return _output(48)


def _output(channels: int) -> Output:
    generator = torch.Generator().manual_seed(channels)
    logits = torch.randn(IMAGES, PAIR.classes, *FEATURE_HW, generator=generator)
    drawn = {
        "encoder": torch.randn(IMAGES, channels, *FEATURE_HW, generator=generator),
        "head": torch.randn(IMAGES, channels - 1, *FEATURE_HW, generator=generator),
    }
    aux = torch.randn(IMAGES, PAIR.classes, *FEATURE_HW, generator=generator)
    features = {name: feature.requires_grad_() for name, feature in drawn.items()}
    return Output(logits.requires_grad_(), aux.requires_grad_(), features)


def _reads_student(distiller: nn.Module) -> bool:
    return not isinstance(getattr(distiller, "_orig_mod", distiller), MasKDTokens)


def _only(output: Output, names: frozenset[str]) -> Output:
    features = {name: value for name, value in output.features.items() if name in names}
    logits = output.logits if "logits" in names else output.logits[:, :0]
    return Output(logits, output.aux if "aux" in names else None, features)


def _slice(output: Output, i: int) -> Output:
    features = {name: feature[i : i + 1] for name, feature in output.features.items()}
    return Output(output.logits[i : i + 1], output.aux[i : i + 1], features)


def _tensors(*outputs: Output) -> list[Tensor]:
    return [x for out in outputs for x in (out.logits, out.aux, *out.features.values())]
