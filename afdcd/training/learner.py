"""What iterates: student, distiller, teacher and optimizer of one rank, without Ray.

Between two calls of `drain` the host only queues work and reads no value back, so the GPU never
waits for it. Whether a loss term is finite is therefore decided on the device.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from afdcd.distillers.base import TAP, Distiller
from afdcd.distillers.none import NoDistiller
from afdcd.models.frozen import FrozenTeacher
from afdcd.models.outputs import SegOutput
from afdcd.models.zoo import SegmentationNetwork
from afdcd.seeds import derive
from afdcd.training.optim import build_optimizer, learning_rate, set_learning_rate
from afdcd.training.shapes import pair_shapes
from afdcd.training.step import (
    DistillationStep,
    compiled_or_eager,
    mask_noise,
    mean_over_ranks,
    teacher_outputs,
    valid_pixels,
)
from afdcd.training.trial import TrainingConfig, TrialConfig

COMPILE_PAYS = 2000  # iterations; compiling takes as long as some hundred of them
# Below the 151 MB of a projector's convolution at 2048 channels, whose gradient is thus reduced
# alone, while the student's are still being computed: the distiller's are the first to be ready.
BUCKET_MB = 25

Module = TypeVar("Module", bound=nn.Module)


class Learner:
    """Attributes: `step` (with `.student` and `.distiller`), `optimizer`."""

    def __init__(
        self,
        config: TrainingConfig,
        step: DistillationStep,
        teacher: Callable[[Tensor], SegOutput] | None,
        device: torch.device,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.config, self.step, self.teacher, self.device = config, step, teacher, device
        self.rank, self.world = rank, world
        self.optimizer = build_optimizer(config, step.parameters())
        self._model = _distributed(step, device) if world > 1 else step
        # 1 from the first term on that is not finite: the fused step then changes nothing.
        self._diverged = torch.zeros((), device=device)
        self.optimizer.found_inf = self._diverged  # type: ignore[attr-defined]
        self._pending: list[tuple[int, tuple[str, ...], Tensor]] = []

    @classmethod
    def build(
        cls,
        config: TrialConfig,
        classes: int,
        teacher: SegmentationNetwork | None,
        device: torch.device,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> "Learner":
        """The learner of a trial at its first iteration.

        Args:
            teacher: ignored by a trial that does not distil.
            world: ranks; if there are several, the process group is initialised.

        Raises:
            UserError: as `ModelConfig.build`.
            ValueError: a distiller without a teacher, or one that does not suit the pair.
        """
        if device.type == "cuda":
            # Crops all have one size, so that trying each convolution's algorithms pays.
            torch.backends.cudnn.benchmark = True
        torch.manual_seed(derive(config.training.seed, "init"))
        student = config.pair.student.build(classes)
        distiller: Any = NoDistiller()
        frozen = None
        if config.distiller.method != "none":
            if teacher is None:
                raise ValueError(f"method {config.distiller.method!r} needs a teacher; give one")
            shapes = pair_shapes(config.pair.student, teacher.config, classes)
            distiller = config.distiller.build(shapes)
            frozen = _frozen(config.training, teacher, distiller, device)
        step = DistillationStep(student, distiller, config.training.aux_weight)
        _placed(step, device).train()
        if world > 1 and device.type == "cuda":
            synchronise_batch_norm(step)
        if _compiles(config.training, device, world):
            step.run_student = compiled_or_eager(step.student.forward)
        return cls(config.training, step, frozen, device, rank=rank, world=world)

    @property
    def autocast(self) -> torch.dtype | None:
        """What matrix products are computed in, if not in the type of their inputs."""
        return _autocast(self.config, self.device)

    def iterate(
        self, iteration: int, images: Float[Tensor, "b 3 H W"], labels: Int[Tensor, "b H W"]
    ) -> None:
        """One optimizer step on this rank's share of a batch, which is on the device.

        Parameters and momentum stay as they are from the first term on, on any rank, that is not
        finite; `drain` shows which it was.
        """
        set_learning_rate(self.optimizer, learning_rate(self.config, iteration))
        torch.manual_seed(derive(self.config.seed, "dropout", iteration, self.rank))
        terms = self._terms(iteration, images, labels)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        values = mean_over_ranks(terms)
        self._diverged.masked_fill_(values.isfinite().all().logical_not(), 1.0)
        self._pending.append((iteration, tuple(terms), values))
        if adapters := list(self.step.distiller.parameters()):
            nn.utils.clip_grad_norm_(adapters, self.config.distiller_clip)
        self.optimizer.step()

    def drain(self) -> list[tuple[int, dict[str, float]]]:
        """Iteration and terms (mean over ranks) of all since the last call, in one transfer."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        rows = torch.stack([values for _, _, values in pending]).tolist()
        return [
            (iteration, dict(zip(names, row, strict=True)))
            for (iteration, names, _), row in zip(pending, rows, strict=True)
        ]

    def share_buffers(self) -> None:
        """Give every rank the running statistics of rank 0, whose network is saved.

        DDP does so before each forward pass. After the last one the ranks have each seen other
        images, and what they predict together would be the work of no single network.
        """
        if self.world > 1:
            for buffer in self.step.buffers():
                dist.broadcast(buffer, src=0)

    def _terms(self, iteration: int, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        if self.device.type == "cuda":
            images = images.to(memory_format=torch.channels_last)
        dtype = self.autocast
        with torch.autocast(self.device.type, dtype or torch.bfloat16, enabled=dtype is not None):
            teacher, uniform = teacher_outputs(self.teacher, images), None
            if teacher is not None and self.step.distiller.needs_uniform:
                batch, _, height, width = teacher.features[TAP].shape
                shape, seed = (batch, height, width), self.config.seed
                uniform = mask_noise(shape, seed, iteration, self.rank, self.world, self.device)
            return self._model(images, labels, teacher, uniform, valid_pixels(labels))


def synchronise_batch_norm(step: DistillationStep) -> None:
    """Let student and distiller normalise over the images of all ranks; parameters stay the same.

    timm has modules that normalise and activate. torch's own converter would turn them into plain
    normalisation, and the student would train without activations; timm's keeps them.
    """
    convert_sync_batchnorm(step)  # in place: no part of a step is itself a batch norm


def _autocast(config: TrainingConfig, device: torch.device) -> torch.dtype | None:
    half = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return torch.bfloat16 if half else None


def _compiles(config: TrainingConfig, device: torch.device, world: int) -> bool:
    if config.compile != "auto":
        return config.compile == "on"
    # Synchronised batch norm would cut what is compiled into a piece per layer.
    return device.type == "cuda" and world == 1 and config.iterations >= COMPILE_PAYS


def _frozen(
    config: TrainingConfig, teacher: SegmentationNetwork, distiller: Distiller, device: torch.device
) -> FrozenTeacher:
    own = next(teacher.parameters()).dtype
    frozen = FrozenTeacher(
        teacher,
        logits=distiller.needs_logits,
        dtype=_autocast(config, device) or own,
        channels_last=device.type == "cuda",
    )
    return frozen.to(device)


def _placed(module: Module, device: torch.device) -> Module:
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    return module.to(device=device, memory_format=layout)  # type: ignore[call-overload]


def _distributed(step: DistillationStep, device: torch.device) -> nn.Module:
    return DistributedDataParallel(
        step,
        device_ids=[device.index] if device.type == "cuda" else None,
        bucket_cap_mb=BUCKET_MB,
        gradient_as_bucket_view=True,
    )
