"""Small networks and steps to train in tests."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from afdcd.data.catalog.train_ids import IGNORE
from afdcd.distillers.base import Distiller
from afdcd.distillers.context import StepContext
from afdcd.models.config import ModelConfig
from afdcd.models.outputs import Output
from afdcd.models.zoo import SegmentationNetwork
from afdcd.training.build_learner import build_learner
from afdcd.training.learner import Learner
from afdcd.training.shapes import pair_shapes
from afdcd.training.step import DistillationStep
from afdcd.training.trial import TrialConfig
from tests.examples import trial

CLASSES = 8
CPU = torch.device("cpu")
# The published weights make terms of very different size; equal ones leave none to hide behind.
LOUD = {
    "distiller__kd_weight": 1.0,
    "distiller__fd_weight": 1e-2,
    "distiller__contrast_weight": 1.0,
}


@dataclass
class Pair:
    config: TrialConfig
    step: DistillationStep
    teacher: SegmentationNetwork


def build_pair(seed: int = 0, **changes: object) -> Pair:
    """Student, distiller and teacher of a trial, from a seed."""
    config = trial(**changes)
    torch.manual_seed(seed)
    student = config.pair.student.build(CLASSES)
    model = config.pair.teacher.model
    distiller = config.distiller.build(pair_shapes(config.pair.student, model, CLASSES))
    step = DistillationStep(student, distiller, config.training.aux_weight)
    return Pair(config, step.train(), built_teacher(model))


def learner_of(
    rank: int = 0, world: int = 1, device: torch.device = CPU, **changes: object
) -> Learner:
    """The learner of a trial and of a teacher that is the same each time."""
    config = trial(**changes)
    torch.manual_seed(5)
    teacher = built_teacher(config.pair.teacher.model)
    return build_learner(config, CLASSES, teacher, device, rank=rank, world=world)


def built_teacher(model: ModelConfig) -> SegmentationNetwork:
    return model.build(CLASSES).eval().requires_grad_(False)


def parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def freeze_noise(step: nn.Module) -> None:
    """Batch norm and dropout as in evaluation: what is left is the same on every rank."""
    for module in step.modules():
        if isinstance(module, nn.BatchNorm2d | nn.Dropout):
            module.eval()


def batch(images: int = 4, side: int = 64) -> tuple[Tensor, Tensor]:
    """Images, and labels of which the first image has far fewer than the last."""
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randn(images, 3, side, side, generator=generator)
    labels = torch.randint(0, CLASSES, (images, side, side), generator=generator)
    for index in range(images):
        labels[index, : side - side * (index + 1) // images] = IGNORE
    return pictures, labels


class BreaksBackward(Distiller):
    """A distiller whose term is finite and whose gradient is not, from one of its calls on."""

    def __init__(self, call: int, value: float) -> None:
        super().__init__()
        self.call, self.value, self.calls = call, value, 0

    def forward(
        self, student: Output, teacher: Output, targets: Tensor, step: StepContext
    ) -> dict[str, Tensor]:
        self.calls += 1
        term = student.logits.mean()
        if self.calls >= self.call and term.requires_grad:
            term.register_hook(lambda gradient: gradient * self.value)
        return {"kd": term}
