"""The gradient of one iteration: part by part on each rank, averaged over all of them."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from inspect import signature
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from afdcd.distillers.base import Targets
from afdcd.distillers.context import StepContext
from afdcd.models.outputs import Output
from afdcd.training.recipe import TrainingConfig
from afdcd.training.step import DistillationStep, mean_count, teacher_outputs

# Below the 151 MB of a projector's convolution at 2048 channels, whose gradient is thus reduced
# alone, while the student's are still being computed: the distiller's are the first to be ready.
BUCKET_MB = 25

# What torch calls it, before 2.15 and since.
_TODAY = "forward_sync_buffers" in signature(DistributedDataParallel).parameters
_KEPT_BUFFERS: dict[str, Any] = {"forward_sync_buffers" if _TODAY else "broadcast_buffers": False}


class BatchGradient:
    """What fills the gradients of a step's parameters.

    Attributes:
        model: the step itself, or in DDP where there are several ranks.
        teacher: its forward pass; None where nothing is distilled.
    """

    def __init__(
        self,
        config: TrainingConfig,
        step: DistillationStep,
        teacher: Callable[[Tensor], Output] | None,
        device: torch.device,
        *,
        rank: int,
        world: int,
    ) -> None:
        self._config, self._step, self.teacher, self._device = config, step, teacher, device
        self._rank, self.world = rank, world
        self.model = _distributed(step, device) if world > 1 else step

    def __call__(self, iteration: int, images: Tensor, targets: Targets) -> dict[str, Tensor]:
        """The gradient of this rank's share of a batch, part by part; the terms are the parts' means.

        The task loss of a part is divided by the count of all of them, so together they
        are what the share is as a whole. Ranks average their gradients once, with the last part.
        Every so-many-th image is a part: so, over all ranks, it has the same images for any number.
        """
        parts, task = self._config.accumulate, self._step.task
        count = mean_count(task.count(targets))
        found = []
        for place in range(parts):
            share = images[place::parts], task.part(targets, place, parts)
            whole = self.world == 1 or place == parts - 1
            with nullcontext() if whole else self.model.no_sync():  # type: ignore[operator]
                terms = self._terms(iteration, place, *share, count / parts)
                (torch.stack(list(terms.values())).sum() / parts).backward()
            found.append({name: term.detach() for name, term in terms.items()})
        self._average_adversary()
        return {name: torch.stack([terms[name] for terms in found]).mean(0) for name in found[0]}

    def _average_adversary(self) -> None:
        """Over ranks, as DDP does for the rest; it would take the gradients of one backward pass alone."""
        gradients = [p.grad for p in self._step.adversarial() if p.grad is not None]
        if self.world == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = (flat / self.world).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def _terms(
        self, iteration: int, place: int, images: Tensor, targets: Targets, count: Tensor
    ) -> dict[str, Tensor]:
        """Of the part of this rank's share that has this place."""
        if self._device.type == "cuda":
            images = images.to(memory_format=torch.channels_last)
        dtype = autocast_dtype(self._config, self._device)
        with torch.autocast(self._device.type, dtype or torch.bfloat16, enabled=dtype is not None):
            teacher = teacher_outputs(self.teacher, images)
            parts, seed = self._config.accumulate, self._config.seed
            context = StepContext(seed, iteration, self._rank, self.world, place, parts)
            return self.model(images, targets, teacher, context, count)

    def largest(self) -> Float[Tensor, "1"]:
        """The largest entry; a norm of squares would overflow before the gradient does.

        DDP has averaged the gradients, so what is not finite on one rank is so on all.
        """
        gradients = [p.grad for p in self._step.parameters() if p.grad is not None]
        return nn.utils.get_total_norm(gradients, norm_type=math.inf).float().reshape(1)

    def clip(self) -> None:
        """Clip the gradient of the adapters that are bounded, and all of it where that is asked for."""
        if adapters := self._step.distiller.clipped():
            nn.utils.clip_grad_norm_(adapters, self._config.distiller_clip)
        if self._config.clip is not None:
            nn.utils.clip_grad_norm_(self._step.learnt(), self._config.clip)


def autocast_dtype(config: TrainingConfig, device: torch.device) -> torch.dtype | None:
    """What matrix products are computed in, if not in the type of their inputs."""
    half = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return torch.bfloat16 if half else None


def _distributed(step: DistillationStep, device: torch.device) -> nn.Module:
    return DistributedDataParallel(
        step,
        device_ids=[device.index] if device.type == "cuda" else None,
        bucket_cap_mb=BUCKET_MB,
        **_KEPT_BUFFERS,  # `Learner.share_buffers` does it where it matters
        gradient_as_bucket_view=True,
    )
