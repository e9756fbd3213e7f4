"""One optimizer step: what it moves, what it leaves alone, and that it never waits for the GPU."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from afdcd.distillers.base import Distiller
from afdcd.distillers.context import StepContext
from afdcd.models.outputs import Output
from afdcd.training.learner import Learner
from tests.training.networks import (
    LOUD,
    BreaksBackward,
    batch,
    learner_of,
    parameters,
)


def momenta(learner: Learner) -> list[Tensor]:
    return [slots["momentum_buffer"].clone() for slots in learner.optimizer.state.values()]


def test_iteration_moves_student_and_distiller_but_not_the_teacher() -> None:
    learner = learner_of(**LOUD)
    before, teacher = parameters(learner.step), parameters(learner.gradient.teacher)
    learner.iterate(0, *batch())
    ((iteration, terms),) = learner.drain()
    assert iteration == 0
    assert set(terms) == {"task", "aux", "kd", "fd", "contrast"}
    after = parameters(learner.step)
    moved = {name.split(".")[0] for name, value in after.items() if not value.equal(before[name])}
    assert moved == {"student", "distiller"}
    assert all(value.equal(teacher[n]) for n, value in parameters(learner.gradient.teacher).items())


def test_iteration_depends_on_nothing_but_state_and_position() -> None:
    results = []
    for noise in range(2):
        learner = learner_of()
        torch.manual_seed(noise)
        learner.iterate(3, *batch())
        results.append((learner.drain(), parameters(learner.step)))
    assert results[0][0] == results[1][0]
    assert all(value.equal(results[1][1][name]) for name, value in results[0][1].items())


def test_trial_that_does_not_distil_ignores_the_teacher() -> None:
    learner = learner_of(distiller={"method": "none"})
    learner.iterate(0, *batch())
    assert set(learner.drain()[0][1]) == {"task", "aux"}
    assert learner.gradient.teacher is None


def test_drain_tells_each_iteration_once() -> None:
    learner = learner_of(distiller={"method": "none"})
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
    learner = learner_of(**LOUD)
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
    learner = learner_of()
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
    learner = learner_of()
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
    learner = learner_of()
    learner.step.distiller = BreaksBackward(1, 1e30)
    learner.iterate(0, *batch(images=2, side=32))
    learner.drain()
    assert learner.diverged is None


@pytest.mark.parametrize("part", ["weight", "running_var"])
def test_weights_and_statistics_that_overflow_are_seen(part: str) -> None:
    learner = learner_of()
    learner.check_state(0)
    assert learner.diverged is None
    name = next(n for n in learner.step.state_dict() if n.endswith(part))
    learner.step.state_dict()[name].view(-1)[0] = torch.inf
    learner.check_state(7)
    assert learner.diverged == f"{name} is not finite at iteration 8"


def test_a_run_notes_the_algorithm_that_it_took() -> None:
    built = learner_of()
    built.iterate(0, *batch())
    assert built.notes == {"projector": built.step.distiller.reconstruct.algorithm}
    assert built.notes["projector"] != "auto"
    assert learner_of(distiller={"method": "none"}).notes == {}


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
    learner = learner_of(training__precision=precision)
    learner.step.distiller = _Listens()
    learner.iterate(0, *batch(images=2, side=32))
    assert learner.step.distiller.heard == {expected}
    assert (learner.autocast or torch.float32) is expected
    assert {p.dtype for p in learner.step.parameters()} == {torch.float32}


def test_an_optimizer_that_can_learn_no_more_is_seen() -> None:
    """A gradient whose square overflows stops AdamW for ever, and no weight shows it."""
    learner = learner_of(training__optimizer={"type": "adamw"}, training__lr=1e-3)
    learner.iterate(0, *batch(images=2, side=32))
    learner.check_state(0)
    assert learner.diverged is None
    state = next(iter(learner.optimizer.state.values()))
    state["exp_avg_sq"].fill_(torch.inf)
    learner.check_state(1)
    assert learner.diverged == "optimizer.exp_avg_sq.0 is not finite at iteration 2"


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
    learner = learner_of(distiller=distiller)
    learner.iterate(0, *batch(side=64))
    with _NoReading(), _NoConversion():
        learner.iterate(1, *batch(side=64))
    assert [iteration for iteration, _ in learner.drain()] == [0, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_iteration_on_a_gpu_waits_for_nothing() -> None:
    device = torch.device("cuda", 0)
    learner = learner_of(device=device)
    images, labels = (tensor.to(device) for tensor in batch())
    learner.iterate(0, images, labels)  # convolutions are tried out, buffers made
    torch.cuda.set_sync_debug_mode("error")
    try:
        learner.iterate(1, images, labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(learner.drain()) == 2
