"""A learner at its first iteration: the networks, the method and the teacher that a trial names."""

from collections.abc import Mapping
from typing import TypeVar

import torch
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn

from afdcd.distillers.base import Distiller
from afdcd.distillers.none import NoDistiller
from afdcd.distillers.ranks import GlobalBatchNorm2d
from afdcd.models.frozen import FrozenTeacher
from afdcd.models.zoo import SegmentationNetwork
from afdcd.seeds import derive
from afdcd.tasks.names import task_named
from afdcd.tasks.normalisation import for_network
from afdcd.training.choices import Choices, follow
from afdcd.training.gradient import autocast_dtype
from afdcd.training.learner import Learner
from afdcd.training.recipe import TrainingConfig
from afdcd.training.shapes import pair_shapes
from afdcd.training.step import DistillationStep, compiled_or_eager
from afdcd.training.trial import TrialConfig

COMPILE_PAYS = 2000  # iterations; compiling takes as long as some hundred of them

Module = TypeVar("Module", bound=nn.Module)


def build_learner(
    config: TrialConfig,
    classes: int,
    teacher: SegmentationNetwork | None,
    device: torch.device,
    *,
    rank: int = 0,
    world: int = 1,
    choices: str | None = None,
    inputs: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> Learner:
    """The learner of a trial at its first iteration.

    Args:
        teacher: ignored by a trial that does not distil.
        choices: folder of the study's (`Job.choices`).
        inputs: of the distiller's prerequisites.
        world: ranks; if there are several, the process group is initialised.

    Raises:
        UserError: as `ModelConfig.build`.
        ValueError: a distiller without a teacher, or one that does not suit the pair.
    """
    if device.type == "cuda":
        # Crops all have one size, so that trying each convolution's algorithms pays.
        torch.backends.cudnn.benchmark = True
    torch.manual_seed(derive(config.training.seed, "init"))
    student = None if config.distiller.PREPARES else config.pair.student.build(classes)
    distiller: Distiller = NoDistiller()
    frozen = None
    if config.distiller.DISTILS:
        if teacher is None:
            raise ValueError(f"method {config.distiller.method!r} needs a teacher; give one")
        shapes = pair_shapes(config.pair.student, teacher.config, classes)
        distiller = config.distiller.build(shapes)
        distiller.read(inputs or {})
        if choices:
            follow(Choices(choices, rank), distiller, device)
        frozen = _frozen(config, teacher, device)
    training = config.training
    step = DistillationStep(student, distiller, training.aux_weight, task_named(config.task))
    _placed(step, device).train()
    if world > 1 and device.type == "cuda":
        synchronise_batch_norm(step)
    if step.student is not None and _compiles(training, device, world):
        step.run_student = compiled_or_eager(step.student.forward)
    return Learner(training, step, frozen, device, rank=rank, world=world)


def _frozen(
    config: TrialConfig, teacher: SegmentationNetwork, device: torch.device
) -> FrozenTeacher:
    own = next(teacher.parameters()).dtype
    frozen = FrozenTeacher(
        teacher,
        needs=config.distiller.needs.teacher,
        before=for_network(teacher, config.data.normalisation),
        dtype=autocast_dtype(config.training, device) or own,
        channels_last=device.type == "cuda",
    )
    return frozen.to(device)


def _placed(module: Module, device: torch.device) -> Module:
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    return module.to(device=device, memory_format=layout)  # type: ignore[call-overload]


def synchronise_batch_norm(step: DistillationStep) -> None:
    """Let student and distiller normalise over the images of all ranks; parameters stay the same.

    timm has modules that normalise and activate. torch's own converter would turn them into plain
    normalisation, and the student would train without activations; timm's keeps them.
    """
    stays = {
        name: module
        for name, module in step.named_modules()
        if isinstance(module, GlobalBatchNorm2d) and module.derived_twice
    }
    convert_sync_batchnorm(step)  # in place: no part of a step is itself a batch norm
    for name, module in stays.items():
        step.set_submodule(name, module)


def _compiles(config: TrainingConfig, device: torch.device, world: int) -> bool:
    if config.compile != "auto":
        return config.compile == "on"
    # Synchronised batch norm would cut what is compiled into a piece per layer.
    return device.type == "cuda" and world == 1 and config.iterations >= COMPILE_PAYS
