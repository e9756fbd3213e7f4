"""The gradient of an iteration: in parts, over ranks, clipped."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from tests.training.networks import LOUD, batch, freeze_noise, learner_of


def test_gradient_of_the_distiller_is_clipped_and_the_students_is_not() -> None:
    learner = learner_of(**LOUD, training__distiller_clip=1e-3)
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
        learner = learner_of(distiller=settings, training__distiller_clip=1e-6)
        learner.iterate(0, *batch())
        found[clips] = learner.step.distiller.align.weight.grad.norm().item()
    assert found[True] == pytest.approx(1e-6, rel=1e-3)
    assert found[False] > 1e-4


def test_the_whole_gradient_is_clipped_where_that_is_asked_for() -> None:
    learner = learner_of(**LOUD, training__clip=1e-2)
    learner.iterate(0, *batch())
    norms = torch.stack([p.grad.norm() for p in learner.step.parameters() if p.grad is not None])
    assert norms.norm().item() == pytest.approx(1e-2, rel=1e-3)


def test_a_part_has_the_same_images_for_any_number_of_ranks() -> None:
    """For batch norm, which ranks synchronise, looks at all images of a part."""
    seen: list[list[float]] = []

    def parts(rank: int, world: int) -> list[list[float]]:
        learner = learner_of(training__accumulate=2, distiller={"method": "none"})
        learner.gradient.world = world
        learner.gradient.model = learner.step
        learner.step.no_sync = nullcontext  # type: ignore[assignment]
        images, labels = batch(images=8, side=32)
        images[:, 0, 0, 0] = torch.arange(8.0)
        share = slice(rank * 8 // world, (rank + 1) * 8 // world)
        seen.clear()

        def look(_: nn.Module, given: tuple[Tensor]) -> None:
            seen.append(given[0][:, 0, 0, 0].tolist())

        learner.step.student.register_forward_pre_hook(look)
        learner.gradient(0, images[share], labels[share])
        return [list(part) for part in seen]

    alone, first, second = parts(0, 1), parts(0, 2), parts(1, 2)
    assert [a + b for a, b in zip(first, second, strict=True)] == alone


@pytest.mark.parametrize("method", ["none", "kd", "mgd", "afdcd"])
def test_a_share_in_parts_has_the_gradient_and_the_terms_of_the_whole(method: str) -> None:
    """In double precision, where no layer looks at several images at once."""
    loud = LOUD if method == "afdcd" else {"distiller": {"method": method}}
    found = []
    for parts in (1, 2):
        learner = learner_of(**loud, training__accumulate=parts)
        freeze_noise(learner.step)
        learner.step.double()
        if isinstance(learner.gradient.teacher, nn.Module):
            learner.gradient.teacher.double().dtype = torch.float64
        images, labels = batch(side=32)
        terms = learner.gradient(5, images.double(), labels)
        named = learner.step.named_parameters()
        found.append(({name: p.grad for name, p in named if p.grad is not None}, terms))
    for whole, divided in zip(*found, strict=True):
        assert whole.keys() == divided.keys()
        for name, value in whole.items():
            torch.testing.assert_close(divided[name], value, rtol=1e-9, atol=1e-12, msg=name)
