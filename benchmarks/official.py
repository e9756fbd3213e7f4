"""The other side of every comparison: the official formulation, which lives with the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from afdcd.bench.report import OFFICIAL
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.distillers.configs import AfDCDConfig
from afdcd.models.config import OUTPUT_STRIDE
from afdcd.models.zoo import SegmentationNetwork
from afdcd.training.learner import Learner
from afdcd.training.recipe import PolyConfig, SGDConfig
from afdcd.training.trial import TrialConfig
from tests.reference.contrast import official_contrast
from tests.reference.projector import OfficialReconstruction, random_mask
from tests.reference.step import OfficialLoss, OfficialTrainer, Recipe

__all__ = [
    "ARITHMETICS",
    "Arithmetic",
    "OfficialReconstruction",
    "OfficialTrainer",
    "Recipe",
    "loss_like",
    "numerics",
    "official_contrast",
    "random_mask",
    "recipe_of",
    "trainer_like",
]


@dataclass(frozen=True)
class Arithmetic:
    """How the official formulation computes; the default is what the authors run.

    Attributes:
        bf16: what a user gets without touching the formulation: bf16 autocast, channels last, and
            cuDNN's search for the fastest algorithm. Autocast keeps distances, the squared error
            and, on a GPU, softmax in fp32.
        compiled: by `torch.compile`, from the images to the loss terms.
    """

    bf16: bool = False
    compiled: bool = False

    def apply(self, trainer: OfficialTrainer) -> None:
        if self.bf16:
            trainer.autocast = torch.bfloat16
            for module in (trainer.student, trainer.teacher, trainer.loss):
                module.to(memory_format=torch.channels_last)
        if self.compiled:
            trainer.compute = torch.compile(trainer.compute, dynamic=False)

    @property
    def dtype(self) -> str:
        return "bfloat16" if self.bf16 else "float32"


ARITHMETICS = {
    OFFICIAL: Arithmetic(),
    f"{OFFICIAL}-bf16": Arithmetic(bf16=True),
    f"{OFFICIAL}-bf16-compiled": Arithmetic(bf16=True, compiled=True),
}


@contextmanager
def numerics(*, tf32: bool = True, search: bool = False) -> Iterator[None]:
    """torch's own settings, whatever ours are: no cuDNN search, TF32 in convolutions alone.

    Args:
        tf32: False rounds nowhere: fp32 products in convolutions, too.
        search: let cuDNN try out its algorithms.
    """
    benchmark, convolutions = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    products = torch.get_float32_matmul_precision()
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = search, tf32
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = benchmark, convolutions
        torch.set_float32_matmul_precision(products)


def recipe_of(config: TrialConfig) -> Recipe:
    """The authors' flags that say what `config` says; its distiller is afdcd with a random mask."""
    method, training = config.distiller, config.training
    optimizer, schedule = training.optimizer, training.schedule
    assert isinstance(method, AfDCDConfig)
    assert isinstance(optimizer, SGDConfig)
    assert isinstance(schedule, PolyConfig)
    return Recipe(
        kd_weight=method.kd_weight,
        fd_weight=method.fd_weight,
        contrast_weight=method.contrast_weight,
        aux_weight=training.aux_weight,
        tau=method.tau,
        groups=method.groups,
        patch=method.patch_of(*(-(-side // OUTPUT_STRIDE) for side in config.data.crop)),
        pool=method.pool,
        mask_ratio=method.mask_ratio,
        lr=training.lr,
        power=schedule.power,
        momentum=optimizer.momentum,
        weight_decay=training.weight_decay,
        clip=training.distiller_clip,
        iterations=training.iterations,
        ignore=IGNORE,
    )


def loss_like(distiller: nn.Module, recipe: Recipe) -> OfficialLoss:
    """The official loss with the weights of `distiller`, in fp32 and in torch's layout."""
    weights = {
        name.removeprefix("reconstruct."): weight.detach()
        for name, weight in distiller.named_parameters()
    }
    shape = weights["align.weight"].shape if "align.weight" in weights else None
    teacher = weights["projector.0.weight"].shape[0]
    reconstruct = OfficialReconstruction(shape[1] if shape else teacher, teacher)
    reconstruct.load_state_dict(weights)
    return OfficialLoss(reconstruct, recipe).to(weights["projector.0.weight"].device)


def trainer_like(
    learner: Learner, config: TrialConfig, teacher: SegmentationNetwork, device: torch.device
) -> OfficialTrainer:
    """The official trainer from the weights at which `learner` stands; it keeps `teacher`."""
    student = config.pair.student.build(teacher.classes)
    student.load_state_dict(learner.student.state_dict())
    loss = loss_like(learner.step.distiller, recipe_of(config))
    return OfficialTrainer(student.to(device), teacher.to(device), loss)
