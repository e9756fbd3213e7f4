"""One optimizer step: the same on 1 process as on 2, and none at all if a term is not finite."""

from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file
from torch import Tensor, nn

from afdcd.data.catalog import IGNORE
from afdcd.models.outputs import SegOutput
from afdcd.training.job import Job
from afdcd.training.optim import build_optimizer
from afdcd.training.step import (
    mask_noise,
    teacher_outputs,
    valid_pixels,
)
from afdcd.training.worker import _iterate, _Run
from tests.training.networks import Pair, batch, build_pair
from tests.training.ranks import LOUD, gradients, one_of_two

CPU = torch.device("cpu")


@pytest.mark.timeout(120)
def test_two_processes_compute_the_gradient_of_one(tmp_path: Path) -> None:
    """Task, auxiliary, KD, reconstruction and contrast, with unevenly labelled images."""
    expected = gradients(0, 1)
    assert {"term.task", "term.aux", "term.kd", "term.fd", "term.contrast"} < expected.keys()
    mp.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        found = load_file(tmp_path / f"rank{rank}.safetensors")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-9, msg=name)


def test_mask_noise_of_the_ranks_is_that_of_one_process() -> None:
    whole = mask_noise((4, 5, 6), seed=3, iteration=7, rank=0, world=1, device=CPU)
    parts = [mask_noise((2, 5, 6), 3, 7, rank, 2, CPU) for rank in range(2)]
    assert torch.cat(parts).equal(whole)
    assert whole.shape == (4, 1, 5, 6)
    assert 0 <= whole.min() < whole.max() < 1


def test_mask_noise_changes_with_seed_and_iteration_only() -> None:
    def draw(seed: int, iteration: int) -> Tensor:
        return mask_noise((2, 3, 4), seed, iteration, 0, 1, CPU)

    torch.manual_seed(0)
    first = draw(0, 0)
    torch.manual_seed(1)
    assert draw(0, 0).equal(first)
    assert not draw(0, 1).equal(first)
    assert not draw(1, 0).equal(first)


def test_labelled_pixels_are_counted_and_never_zero() -> None:
    labels = torch.full((2, 3, 4), IGNORE)
    assert valid_pixels(labels).item() == 1.0
    labels[0, 0] = 2
    assert valid_pixels(labels).item() == 4.0


def test_without_a_teacher_only_the_task_is_learnt() -> None:
    pair = build_pair()
    images, labels = batch()
    terms = pair.step(images, labels, teacher_outputs(None, images), None, valid_pixels(labels))
    assert set(terms) == {"task", "aux"}


def running(pair: Pair) -> _Run:
    job = Job(name="trial-0000", title="t", config=pair.config, folder="nowhere")
    optimizer = build_optimizer(pair.config.training, pair.step.parameters())
    return _Run(job, CPU, 0, 1, pair.step, pair.step, pair.teacher, optimizer)


def parameters(step: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in step.named_parameters()}


def test_iteration_moves_student_and_distiller_but_not_the_teacher() -> None:
    run = running(build_pair(**LOUD))
    before, teacher = parameters(run.step), parameters(run.teacher)
    values = _iterate(run, 0, *batch())
    assert set(values) == {"task", "aux", "kd", "fd", "contrast"}
    moved = {n.split(".")[0] for n, v in parameters(run.step).items() if not v.equal(before[n])}
    assert moved == {"student", "distiller"}
    assert all(value.equal(teacher[name]) for name, value in parameters(run.teacher).items())


def test_iteration_depends_on_nothing_but_state_and_position() -> None:
    results = []
    for noise in range(2):
        run = running(build_pair())
        torch.manual_seed(noise)
        results.append((_iterate(run, 3, *batch()), parameters(run.step)))
    assert results[0][0] == results[1][0]
    assert all(value.equal(results[1][1][name]) for name, value in results[0][1].items())


class _Poisoned(nn.Module):
    """A distiller one of whose terms is not finite."""

    needs_uniform = False

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(
        self, student: SegOutput, teacher: SegOutput, labels: Tensor, uniform: Tensor | None
    ) -> dict[str, Tensor]:
        return {"poison": self.factor * student.logits.mean()}


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_term_that_is_not_finite_changes_no_parameter(factor: float) -> None:
    pair = build_pair()
    run = running(Pair(pair.config, pair.step, pair.teacher))
    run.step.distiller = _Poisoned(factor)
    before = parameters(run.step.student)
    values = _iterate(run, 0, *batch())
    assert not torch.tensor(values["poison"]).isfinite()
    assert all(value.equal(before[name]) for name, value in parameters(run.step.student).items())
    assert not run.optimizer.state


def test_gradient_of_the_distiller_is_clipped_and_the_students_is_not() -> None:
    run = running(build_pair(**LOUD, training__distiller_clip=1e-3))
    _iterate(run, 0, *batch())
    norms = {
        name: torch.stack([p.grad.norm() for p in part.parameters()]).norm().item()
        for name, part in (("distiller", run.step.distiller), ("student", run.step.student))
    }
    assert norms["distiller"] == pytest.approx(1e-3, rel=1e-3)
    assert norms["student"] > 0.1
