"""Student, distiller, teacher and optimizer of one rank."""

import math

import torch
from torch import Tensor, nn

from afdcd.distillers.none import NoDistiller
from afdcd.models.zoo import SegmentationNetwork
from afdcd.seeds import derive
from afdcd.training.optim import build_optimizer, learning_rate, set_learning_rate
from afdcd.training.step import (
    DistillationStep,
    mask_noise,
    mean_over_ranks,
    teacher_outputs,
    valid_pixels,
)
from afdcd.training.trial import TrialConfig, pair_shapes


class Learner:
    def __init__(
        self,
        config: TrialConfig,
        step: DistillationStep,
        teacher: SegmentationNetwork | None,
        device: torch.device,
    ) -> None:
        self.config, self.step, self.teacher, self.device = config, step, teacher, device
        self.optimizer = build_optimizer(config.training, step.parameters())
        self._values: list[tuple[int, dict[str, float]]] = []

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
        torch.manual_seed(derive(config.training.seed, "init"))
        student = config.pair.student.build(classes)
        distiller: nn.Module = NoDistiller()
        if teacher is not None:
            shapes = pair_shapes(config.pair.student, teacher.config, classes)
            distiller = config.distiller.build(shapes)
        layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
        step = DistillationStep(student, distiller, config.training.aux_weight)
        step.to(device=device, memory_format=layout).train()  # type: ignore[call-overload]
        if teacher is not None:
            teacher = teacher.eval().requires_grad_(False)
            teacher.to(device=device, memory_format=layout)  # type: ignore[call-overload]
        return cls(config, step, teacher, device)

    def iterate(self, iteration: int, images: Tensor, labels: Tensor) -> None:
        training = self.config.training
        set_learning_rate(self.optimizer, learning_rate(training, iteration))
        torch.manual_seed(derive(training.seed, "dropout", iteration, 0))
        if self.device.type == "cuda":
            images = images.to(memory_format=torch.channels_last)
        bf16 = training.precision == "bf16" or (
            training.precision == "auto" and self.device.type == "cuda"
        )
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            teacher = teacher_outputs(self.teacher, images)
            uniform = None
            if teacher is not None and self.step.distiller.needs_uniform:
                batch, _, height, width = teacher.features["encoder"].shape
                shape = (batch, height, width)
                uniform = mask_noise(shape, training.seed, iteration, 0, 1, self.device)
            terms = self.step(images, labels, teacher, uniform, valid_pixels(labels))
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        values = mean_over_ranks(terms)
        if all(map(math.isfinite, values.values())):
            if adapters := list(self.step.distiller.parameters()):
                nn.utils.clip_grad_norm_(adapters, training.distiller_clip)
            self.optimizer.step()
        self._values.append((iteration, values))

    def drain(self) -> list[tuple[int, dict[str, float]]]:
        values, self._values = self._values, []
        return values
