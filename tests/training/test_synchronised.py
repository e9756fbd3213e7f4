"""Synchronised batch norm computes what the batch norm did that it replaces."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from afdcd.distillers.context import StepContext
from afdcd.models.encoders import PAPER_ENCODERS
from afdcd.training.build_learner import synchronise_batch_norm
from afdcd.training.step import DistillationStep
from tests.training.networks import LOUD, batch, build_pair

SPACES = Path(__file__).parents[2] / "search_spaces"
SMALL_TEACHER = {"pair__teacher__model__encoder": "timm:mobilenetv3_small_050"}


def _encoders(values: Any) -> Iterator[str]:
    if isinstance(values, dict) and isinstance(values.get("encoder"), str):
        yield values["encoder"]
    for child in values.values() if isinstance(values, dict) else values:
        if isinstance(child, dict | list):
            yield from _encoders(child)


OFFERED = {
    encoder
    for file in SPACES.glob("*.yaml")
    for encoder in _encoders(yaml.safe_load(file.read_text()))
}
ENCODERS = sorted({*OFFERED, *PAPER_ENCODERS, "timm:lcnet_050", "timm:resnet10t"})


def test_search_spaces_offer_encoders_of_the_paper_and_of_timm() -> None:
    """What the parameters of the tests below are read from."""
    assert {"resnet18", "resnet101", "mobilenetv2"} <= OFFERED
    assert {"timm:mobilenetv3_small_050", "timm:regnetx_002"} <= OFFERED


@pytest.mark.parametrize("encoder", ENCODERS)
def test_student_computes_the_same(encoder: str) -> None:
    step = _used(build_pair(pair__student__encoder=encoder, distiller={"method": "none"}).step)
    images, _ = batch(images=2, side=48)
    before = step.student(images)
    _synchronise(step)
    after = step.student(images)
    torch.testing.assert_close(after.logits, before.logits)
    for tap, value in before.features.items():
        torch.testing.assert_close(after.features[tap], value, msg=tap)


def test_distiller_computes_the_same() -> None:
    pair = build_pair(**LOUD, **SMALL_TEACHER, distiller__projector="enhanced")
    # None of today's methods has batch norm; one that has must be synchronised with the student.
    pair.step.distiller.register_module("extra", nn.BatchNorm2d(3))
    step, (images, labels) = _used(pair.step), batch(images=2, side=64)

    def terms() -> dict[str, Tensor]:
        teacher = pair.teacher(images)
        return step(images, labels, teacher, StepContext(0, 0), torch.tensor(100.0))

    before = terms()
    assert {"kd", "fd", "contrast"} < before.keys()
    _synchronise(step)
    assert isinstance(step.distiller.extra, nn.SyncBatchNorm)
    torch.testing.assert_close(terms(), before)


def _used(step: DistillationStep) -> DistillationStep:
    """In evaluation, with running statistics that differ from those of a new network."""
    for module in step.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return step.eval().requires_grad_(False)


def _synchronise(step: DistillationStep) -> None:
    """As the learner does; whatever normalised is synchronised, and keeps its state."""
    state = copy.deepcopy(step.state_dict())
    names = {name for name, m in step.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert names
    synchronise_batch_norm(step)
    assert names == {n for n, m in step.named_modules() if isinstance(m, nn.SyncBatchNorm)}
    assert state.keys() == step.state_dict().keys()
    assert all(value.equal(state[name]) for name, value in step.state_dict().items())
