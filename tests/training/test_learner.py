"""One optimizer step: what it moves, what it leaves alone, and that it never waits for the GPU."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from afdcd.distillers import projector
from afdcd.distillers.base import Distiller
from afdcd.distillers.context import StepContext
from afdcd.models.outputs import Output
from afdcd.training.choices import Choices
from afdcd.training.learner import Learner, _compiles, _follow
from afdcd.training.recipe import TrainingConfig
from tests.examples import trial
from tests.training.networks import (
    CLASSES,
    CPU,
    LOUD,
    BreaksBackward,
    batch,
    build_learner,
    built_teacher,
    freeze_noise,
)


def parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def momenta(learner: Learner) -> list[Tensor]:
    return [slots["momentum_buffer"].clone() for slots in learner.optimizer.state.values()]


def test_iteration_moves_student_and_distiller_but_not_the_teacher() -> None:
    learner = build_learner(**LOUD)
    before, teacher = parameters(learner.step), parameters(learner.teacher)
    learner.iterate(0, *batch())
    ((iteration, terms),) = learner.drain()
    assert iteration == 0
    assert set(terms) == {"task", "aux", "kd", "fd", "contrast"}
    after = parameters(learner.step)
    moved = {name.split(".")[0] for name, value in after.items() if not value.equal(before[name])}
    assert moved == {"student", "distiller"}
    assert all(value.equal(teacher[n]) for n, value in parameters(learner.teacher).items())


def test_iteration_depends_on_nothing_but_state_and_position() -> None:
    results = []
    for noise in range(2):
        learner = build_learner()
        torch.manual_seed(noise)
        learner.iterate(3, *batch())
        results.append((learner.drain(), parameters(learner.step)))
    assert results[0][0] == results[1][0]
    assert all(value.equal(results[1][1][name]) for name, value in results[0][1].items())


def test_trial_that_does_not_distil_ignores_the_teacher() -> None:
    learner = build_learner(distiller={"method": "none"})
    learner.iterate(0, *batch())
    assert set(learner.drain()[0][1]) == {"task", "aux"}
    assert learner.teacher is None


def test_distiller_without_a_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="method 'afdcd' needs a teacher"):
        Learner.build(trial(), CLASSES, None, CPU)


def test_drain_tells_each_iteration_once() -> None:
    learner = build_learner(distiller={"method": "none"})
    for iteration in (2, 3):
        learner.iterate(iteration, *batch(images=2, side=32))
    told = learner.drain()
    assert [iteration for iteration, _ in told] == [2, 3]
    assert told[0][1] != told[1][1]
    assert learner.drain() == []


@pytest.mark.parametrize("good", [0, 1])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nothing_moves_once_a_term_is_not_finite(good: int, value: float) -> None:
    """Not in that iteration, be it the first, nor in a later one whose terms are finite."""
    learner = build_learner(**LOUD)
    images, labels = batch()
    for iteration in range(good):
        learner.iterate(iteration, images, labels)
    before, momentum = parameters(learner.step), momenta(learner)
    buffers = {name: value.clone() for name, value in learner.step.named_buffers()}
    broken = images.clone()
    broken[0, 0, 0, 0] = value
    learner.iterate(good, broken, labels)
    assert any(not p.grad.isfinite().all() for p in learner.step.distiller.parameters())
    learner.step.load_state_dict(buffers, strict=False)  # running statistics are not protected
    learner.iterate(good + 1, images, labels)
    finite = [math.isfinite(sum(terms.values())) for _, terms in learner.drain()]
    assert finite == [True] * good + [False, True]
    assert all(value.equal(before[name]) for name, value in parameters(learner.step).items())
    assert all(new.equal(old) for new, old in zip(momenta(learner), momentum, strict=True))


class _Poisoned(Distiller):
    """A distiller one of whose terms is not finite."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(
        self, student: Output, teacher: Output, targets: Tensor, step: StepContext
    ) -> dict[str, Tensor]:
        return {"poison": self.factor * student.logits.mean()}


@pytest.mark.parametrize("factor", [torch.nan, torch.inf])
def test_term_that_is_not_finite_is_told_by_name(factor: float) -> None:
    learner = build_learner()
    learner.step.distiller = _Poisoned(factor)
    before = parameters(learner.step.student)
    learner.iterate(0, *batch())
    ((_, terms),) = learner.drain()
    assert [name for name, value in terms.items() if not math.isfinite(value)] == ["poison"]
    after = parameters(learner.step.student)
    assert all(value.equal(before[name]) for name, value in after.items())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nothing_moves_once_the_gradient_is_not_finite(value: float) -> None:
    """Though every term is, in that iteration and in the next."""
    learner = build_learner()
    learner.step.distiller = BreaksBackward(2, value)
    learner.iterate(0, *batch(images=2, side=32))
    before, momentum = parameters(learner.step), momenta(learner)
    learner.step.distiller.call = 2
    learner.iterate(1, *batch(images=2, side=32))
    learner.step.distiller.call = 99
    learner.iterate(2, *batch(images=2, side=32))
    assert learner.diverged is None  # nobody has looked
    assert all(math.isfinite(v) for _, terms in learner.drain() for v in terms.values())
    assert learner.diverged == "the gradient is not finite at iteration 2"
    assert all(value.equal(before[name]) for name, value in parameters(learner.step).items())
    assert all(new.equal(old) for new, old in zip(momenta(learner), momentum, strict=True))


def test_a_large_gradient_whose_square_overflows_is_finite() -> None:
    learner = build_learner()
    learner.step.distiller = BreaksBackward(1, 1e30)
    learner.iterate(0, *batch(images=2, side=32))
    learner.drain()
    assert learner.diverged is None


@pytest.mark.parametrize("part", ["weight", "running_var"])
def test_weights_and_statistics_that_overflow_are_seen(part: str) -> None:
    learner = build_learner()
    learner.check_state(0)
    assert learner.diverged is None
    name = next(n for n in learner.step.state_dict() if n.endswith(part))
    learner.step.state_dict()[name].view(-1)[0] = torch.inf
    learner.check_state(7)
    assert learner.diverged == f"{name} is not finite at iteration 8"


@pytest.mark.parametrize(("device", "asked"), [("cpu", False), ("cuda", True)])
def test_only_runs_on_a_gpu_follow_a_measurement(device: str, asked: bool) -> None:
    distiller = build_learner().step.distiller
    _follow(Choices("choices"), distiller, torch.device(device))
    assert (distiller.reconstruct.choose is not None) is asked


def test_two_runs_of_a_study_on_a_cpu_are_equal_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, with a map that is large enough for the algorithms to differ."""
    monkeypatch.setattr(projector, "SMALL", 0)
    monkeypatch.setattr(projector.time, "perf_counter", iter(range(99, 0, -1)).__next__)
    config, trained = trial(), []
    for folder in ("choices", "others"):
        torch.manual_seed(5)
        teacher = built_teacher(config.pair.teacher.model)
        place = str(tmp_path / folder)
        learner = Learner.build(config, CLASSES, teacher, CPU, choices=place)
        for iteration in range(2):
            learner.iterate(iteration, *batch(images=2, side=32))
        trained.append(parameters(learner.step))
        assert learner.notes == {"projector": "kept"}
    assert all(value.equal(trained[1][name]) for name, value in trained[0].items())
    assert not list(tmp_path.iterdir())


def test_a_run_notes_the_algorithm_that_it_took() -> None:
    built = build_learner()
    built.iterate(0, *batch())
    assert built.notes == {"projector": built.step.distiller.reconstruct.algorithm}
    assert built.notes["projector"] != "auto"
    assert build_learner(distiller={"method": "none"}).notes == {}


class _Listens(Distiller):
    """A distiller that keeps the types of what it is given."""

    def forward(
        self, student: Output, teacher: Output, targets: Tensor, step: StepContext
    ) -> dict[str, Tensor]:
        self.heard = {student.logits.dtype, teacher.logits.dtype}
        return {}


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("auto", torch.float32), ("fp32", torch.float32), ("bf16", torch.bfloat16)],
)
def test_both_networks_compute_in_the_chosen_precision(
    precision: str, expected: torch.dtype
) -> None:
    learner = build_learner(training__precision=precision)
    learner.step.distiller = _Listens()
    learner.iterate(0, *batch(images=2, side=32))
    assert learner.step.distiller.heard == {expected}
    assert (learner.autocast or torch.float32) is expected
    assert {p.dtype for p in learner.step.parameters()} == {torch.float32}


def test_gradient_of_the_distiller_is_clipped_and_the_students_is_not() -> None:
    learner = build_learner(**LOUD, training__distiller_clip=1e-3)
    learner.iterate(0, *batch())
    norms = {
        name: torch.stack([p.grad.norm() for p in part.parameters()]).norm().item()
        for name, part in (("distiller", learner.step.distiller), ("student", learner.step.student))
    }
    assert norms["distiller"] == pytest.approx(1e-3, rel=1e-3)
    assert norms["student"] > 0.1


def test_a_method_that_is_not_clipped_keeps_its_gradient() -> None:
    """As published, CWD's convolution has none; the bound is for methods that have one."""
    found = {}
    for clips in (True, False):
        settings = {"method": "cwd", "adversarial_weight": 0.0, "clip_adapters": clips}
        learner = build_learner(distiller=settings, training__distiller_clip=1e-6)
        learner.iterate(0, *batch())
        found[clips] = learner.step.distiller.align.weight.grad.norm().item()
    assert found[True] == pytest.approx(1e-6, rel=1e-3)
    assert found[False] > 1e-4


def test_the_whole_gradient_is_clipped_where_that_is_asked_for() -> None:
    learner = build_learner(**LOUD, training__clip=1e-2)
    learner.iterate(0, *batch())
    norms = torch.stack([p.grad.norm() for p in learner.step.parameters() if p.grad is not None])
    assert norms.norm().item() == pytest.approx(1e-2, rel=1e-3)


def test_an_optimizer_that_can_learn_no_more_is_seen() -> None:
    """A gradient whose square overflows stops AdamW for ever, and no weight shows it."""
    learner = build_learner(training__optimizer={"type": "adamw"}, training__lr=1e-3)
    learner.iterate(0, *batch(images=2, side=32))
    learner.check_state(0)
    assert learner.diverged is None
    state = next(iter(learner.optimizer.state.values()))
    state["exp_avg_sq"].fill_(torch.inf)
    learner.check_state(1)
    assert learner.diverged == "optimizer.exp_avg_sq.0 is not finite at iteration 2"


def test_a_part_has_the_same_images_for_any_number_of_ranks() -> None:
    """For batch norm, which ranks synchronise, looks at all images of a part."""
    seen: list[list[float]] = []

    def parts(rank: int, world: int) -> list[list[float]]:
        learner = build_learner(training__accumulate=2, distiller={"method": "none"})
        learner.world = world
        learner._model = learner.step
        learner.step.no_sync = nullcontext  # type: ignore[assignment]
        images, labels = batch(images=8, side=32)
        images[:, 0, 0, 0] = torch.arange(8.0)
        share = slice(rank * 8 // world, (rank + 1) * 8 // world)
        seen.clear()

        def look(_: nn.Module, given: tuple[Tensor]) -> None:
            seen.append(given[0][:, 0, 0, 0].tolist())

        learner.step.student.register_forward_pre_hook(look)
        learner._accumulate(0, images[share], labels[share])
        return [list(part) for part in seen]

    alone, first, second = parts(0, 1), parts(0, 2), parts(1, 2)
    assert [a + b for a, b in zip(first, second, strict=True)] == alone


@pytest.mark.parametrize("method", ["none", "kd", "mgd", "afdcd"])
def test_a_share_in_parts_has_the_gradient_and_the_terms_of_the_whole(method: str) -> None:
    """In double precision, where no layer looks at several images at once."""
    loud = LOUD if method == "afdcd" else {"distiller": {"method": method}}
    found = []
    for parts in (1, 2):
        learner = build_learner(**loud, training__accumulate=parts)
        freeze_noise(learner.step)
        learner.step.double()
        if isinstance(learner.teacher, nn.Module):
            learner.teacher.double().dtype = torch.float64
        images, labels = batch(side=32)
        terms = learner._accumulate(5, images.double(), labels)
        named = learner.step.named_parameters()
        found.append(({name: p.grad for name, p in named if p.grad is not None}, terms))
    for whole, divided in zip(*found, strict=True):
        assert whole.keys() == divided.keys()
        for name, value in whole.items():
            torch.testing.assert_close(divided[name], value, rtol=1e-9, atol=1e-12, msg=name)


class _NoReading(TorchDispatchMode):
    """Refuses operators that hand a value, or a shape that depends on values, to the host."""

    tags = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})
    indexing = (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func.overloadpacket in self.indexing:  # waits only for masks
            waits = any(x is not None and x.dtype is torch.bool for x in args[1])
        else:
            waits = bool(self.tags & set(func.tags))
        assert not waits, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


class _NoConversion(TorchFunctionMode):
    """Refuses the conversions to Python that are no operators."""

    refused = (Tensor.tolist, Tensor.numpy, Tensor.cpu, Tensor.__array__)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        assert func not in self.refused, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


READS: list[Callable[[Tensor], object]] = [
    bool,
    float,
    Tensor.item,
    Tensor.tolist,
    Tensor.numpy,
    Tensor.nonzero,
    lambda x: x.reshape(1)[x.reshape(1) > 0],
    lambda x: x.clone().reshape(1).index_put_((x.reshape(1) > 0,), x),
    lambda x: x.expand(3).masked_select(x > 0),
    lambda x: x.expand(3).unique(),
]


@pytest.mark.parametrize("read", READS)
def test_every_way_to_read_a_value_is_noticed(read: Callable[[Tensor], object]) -> None:
    with _NoReading(), _NoConversion(), pytest.raises(AssertionError, match="waits for the device"):
        read(torch.ones(()))


@pytest.mark.parametrize(
    "distiller",
    [
        {"method": "none"},
        {"method": "kd"},
        {"method": "mgd"},
        {"method": "afdcd", "groups": 8, "patch": 2, "pool": 0},
        {"method": "afdcd", "groups": 8, "patch": 2, "pool": 2, "mask": "centre"},
    ],
)
def test_iteration_reads_no_value(distiller: dict[str, Any]) -> None:
    learner = build_learner(distiller=distiller)
    learner.iterate(0, *batch(side=64))
    with _NoReading(), _NoConversion():
        learner.iterate(1, *batch(side=64))
    assert [iteration for iteration, _ in learner.drain()] == [0, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_iteration_on_a_gpu_waits_for_nothing() -> None:
    device = torch.device("cuda", 0)
    learner = build_learner(device=device)
    images, labels = (tensor.to(device) for tensor in batch())
    learner.iterate(0, images, labels)  # convolutions are tried out, buffers made
    torch.cuda.set_sync_debug_mode("error")
    try:
        learner.iterate(1, images, labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(learner.drain()) == 2


def test_compiled_student_trains_the_same_and_hides_from_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = []
    original = torch.compile

    def traced(forward: Callable, **options: Any) -> Callable:
        compiled.append(forward)
        return original(forward, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", traced)
    plain, learner = (build_learner(training__compile=choice) for choice in ("off", "on"))
    for each in (plain, learner):
        each.iterate(0, *batch())
    assert compiled == [learner.step.student.forward]
    assert plain.drain() == learner.drain()
    expected, found = plain.step.state_dict(), learner.step.state_dict()
    assert found.keys() == expected.keys()
    assert all(value.equal(expected[name]) for name, value in found.items())


def test_what_cannot_be_compiled_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def broken(forward: Callable, **options: Any) -> Callable:
        def run(images: Tensor) -> Output:
            calls.append(images)
            raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    learner = build_learner(training__compile="on")
    for iteration in range(2):
        learner.iterate(iteration, *batch())
    assert len(learner.drain()) == 2
    assert len(calls) == 1
    (record,) = caplog.records
    assert record.getMessage() == "the student runs uncompiled: Failed to find C compiler."


@pytest.mark.parametrize(
    ("choice", "device", "world", "iterations", "expected"),
    [
        ("auto", "cuda", 1, 2000, True),
        ("auto", "cuda", 1, 1999, False),
        ("auto", "cuda", 2, 2000, False),
        ("auto", "cpu", 1, 2000, False),
        ("on", "cpu", 2, 1, True),
        ("off", "cuda", 1, 40_000, False),
    ],
)
def test_long_runs_on_one_gpu_are_compiled(
    choice: str, device: str, world: int, iterations: int, expected: bool
) -> None:
    config = TrainingConfig(iterations=iterations, validate_every=1, compile=choice)
    assert _compiles(config, torch.device(device), world) is expected
