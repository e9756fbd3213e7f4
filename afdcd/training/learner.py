"""What iterates: student, distiller, teacher and optimizer of one rank, without Ray.

Between two calls of `drain` the host only queues work and reads no value back, so the GPU never
waits for it. Whether loss terms and gradient are finite is therefore decided on the device.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from inspect import signature
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.context import StepContext
from afdcd.distillers.none import NoDistiller
from afdcd.distillers.projector import MaskedReconstruction
from afdcd.distillers.ranks import GlobalBatchNorm2d
from afdcd.models.frozen import FrozenTeacher
from afdcd.models.outputs import Output
from afdcd.models.zoo import SegmentationNetwork
from afdcd.seeds import derive
from afdcd.tasks.names import task_named
from afdcd.tasks.normalisation import for_network
from afdcd.training.choices import Choices
from afdcd.training.optim import (
    build_optimizer,
    learning_rate,
    set_learning_rate,
    started,
    state_of,
)
from afdcd.training.recipe import TrainingConfig
from afdcd.training.shapes import pair_shapes
from afdcd.training.step import (
    DistillationStep,
    compiled_or_eager,
    mean_count,
    mean_over_ranks,
    teacher_outputs,
)
from afdcd.training.trial import TrialConfig

COMPILE_PAYS = 2000  # iterations; compiling takes as long as some hundred of them
# Below the 151 MB of a projector's convolution at 2048 channels, whose gradient is thus reduced
# alone, while the student's are still being computed: the distiller's are the first to be ready.
BUCKET_MB = 25

# What torch calls it, before 2.15 and since.
_TODAY = "forward_sync_buffers" in signature(DistributedDataParallel).parameters
_KEPT_BUFFERS: dict[str, Any] = {"forward_sync_buffers" if _TODAY else "broadcast_buffers": False}

Module = TypeVar("Module", bound=nn.Module)


class Learner:
    """What trains on one rank.

    Attributes:
        step: with `.student` and `.distiller`.
        diverged: what was not finite first, and at which iteration; None as long as all is, as far
            as `drain` and `check_state` have looked.
    """

    def __init__(
        self,
        config: TrainingConfig,
        step: DistillationStep,
        teacher: Callable[[Tensor], Output] | None,
        device: torch.device,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.config, self.step, self.teacher, self.device = config, step, teacher, device
        self.rank, self.world = rank, world
        rules = {}
        if step.student is not None:
            rules = step.student.parameter_groups(
                head_lr_scale=config.head_lr_scale, decay_norms=config.decay_norms
            )
        self.optimizer = build_optimizer(config, step.learnt(), rules)
        adversary = step.distiller.adversary
        self.adversary = None if adversary is None else started(adversary.optimizer())
        self._model = _distributed(step, device) if world > 1 else step
        # 1 from the first term or gradient on that is not finite: the fused step then changes nothing.
        self._stopped = torch.zeros((), device=device)
        for optimizer in self._optimizers:
            optimizer.found_inf = self._stopped  # type: ignore[attr-defined]
        # Iteration, names of the terms, their values and, last, the gradient's largest entry.
        self._pending: list[tuple[int, tuple[str, ...], Tensor]] = []
        self.diverged: str | None = None

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
        choices: str | None = None,
        inputs: Mapping[str, Mapping[str, Tensor]] | None = None,
    ) -> "Learner":
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
        prepares = config.distiller.PREPARES
        student = None if prepares else config.pair.student.build(classes)
        distiller: Distiller = NoDistiller()
        frozen = None
        if config.distiller.DISTILS:
            if teacher is None:
                raise ValueError(f"method {config.distiller.method!r} needs a teacher; give one")
            shapes = pair_shapes(config.pair.student, teacher.config, classes)
            distiller = config.distiller.build(shapes)
            distiller.read(inputs or {})
            if choices:
                _follow(Choices(choices, rank), distiller, device)
            frozen = _frozen(config, teacher, device)
        step = DistillationStep(
            student, distiller, config.training.aux_weight, task_named(config.task)
        )
        _placed(step, device).train()
        if world > 1 and device.type == "cuda":
            synchronise_batch_norm(step)
        if step.student is not None and _compiles(config.training, device, world):
            step.run_student = compiled_or_eager(step.student.forward)
        return cls(config.training, step, frozen, device, rank=rank, world=world)

    @property
    def student(self) -> SegmentationNetwork:
        """Raises ValueError where none is trained."""
        if self.step.student is None:
            raise ValueError("this run trains no student")
        return self.step.student

    @property
    def autocast(self) -> torch.dtype | None:
        """What matrix products are computed in, if not in the type of their inputs."""
        return _autocast(self.config, self.device)

    @property
    def notes(self) -> dict[str, str]:
        """What the record should say of how it computes."""
        taken = [part.algorithm for part in _reconstructions(self.step.distiller)]
        return {"projector": ", ".join(taken)} if taken else {}

    def iterate(self, iteration: int, images: Float[Tensor, "b 3 H W"], targets: Targets) -> None:
        """One optimizer step on this rank's share of a batch, which is on the device.

        Parameters and momentum stay as they are from the first term or gradient on, on any rank,
        that is not finite; `diverged` says which it was once `drain` has looked.
        """
        self._set_rates(learning_rate(self.config, iteration))
        torch.manual_seed(derive(self.config.seed, "dropout", iteration, self.rank))
        # Gradients that ranks share lie in DDP's buckets, and parts are added there.
        shared = self.world > 1 and self.config.accumulate > 1
        self.optimizer.zero_grad(set_to_none=not shared)
        if self.adversary is not None:
            self.adversary.zero_grad()
        terms = self._accumulate(iteration, images, targets)
        seen = torch.cat([mean_over_ranks(terms), self._largest_gradient()])
        self._stopped.masked_fill_(seen.isfinite().all().logical_not(), 1.0)
        self._pending.append((iteration, tuple(terms), seen))
        self._clip()
        for optimizer in self._optimizers:
            optimizer.step()

    def _set_rates(self, rate: float) -> None:
        set_learning_rate(self.optimizer, rate)
        player = self.step.distiller.adversary
        if self.adversary is not None and player is not None and player.scheduled:
            share = rate / self.config.lr
            for group in self.adversary.param_groups:
                group["lr"] = share * self.adversary.defaults["lr"]

    @property
    def _optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer, *([] if self.adversary is None else [self.adversary])]

    def slots(self) -> dict[str, Tensor]:
        """What the optimizers keep, by name."""
        found = state_of(self.optimizer)
        return found if self.adversary is None else found | state_of(self.adversary, "adversary.")

    def drain(self) -> list[tuple[int, dict[str, float]]]:
        """Iteration and terms (mean over ranks) of all since the last call, in one transfer."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        rows = torch.stack([seen for _, _, seen in pending]).tolist()
        drained = []
        for (iteration, names, _), (*values, gradient) in zip(pending, rows, strict=True):
            terms = dict(zip(names, values, strict=True))
            self._look(iteration, {f"loss term {k}": v for k, v in terms.items()})
            self._look(iteration, {"the gradient": gradient})
            drained.append((iteration, terms))
        return drained

    def check_state(self, iteration: int) -> None:
        """See whether weights, running statistics and the optimizer's state are finite, in one transfer.

        A gradient that is finite can still be too large for them, and then a network that predicts
        nothing, or learns nothing any more, would be scored. All ranks come to the same.
        """
        self.share_buffers()
        state = {k: v for k, v in self.step.state_dict().items() if v.is_floating_point()}
        state |= self.slots()
        finite = torch.stack([value.isfinite().all() for value in state.values()]).float()
        if self.world > 1:
            dist.all_reduce(finite, dist.ReduceOp.MIN)
        wrong = [name for name, fine in zip(state, finite.tolist(), strict=True) if not fine]
        self._look(iteration, dict.fromkeys(wrong, math.nan))

    def _look(self, iteration: int, values: dict[str, float]) -> None:
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong and self.diverged is None:
            self.diverged = f"{wrong[0]} is not finite at iteration {iteration + 1}"

    def _largest_gradient(self) -> Float[Tensor, "1"]:
        """Not a norm of squares, which would overflow before the gradient does.

        DDP has averaged the gradients, so what is not finite on one rank is so on all.
        """
        gradients = [p.grad for p in self.step.parameters() if p.grad is not None]
        return nn.utils.get_total_norm(gradients, norm_type=math.inf).float().reshape(1)

    def share_buffers(self) -> None:
        """Give every rank the student's running statistics of rank 0, whose network is saved.

        The ranks have each seen other images, and what they predict together would be the work of
        no single network. A distiller's buffers are its own, and equal on all ranks.
        """
        if self.world > 1 and self.step.student is not None:
            for buffer in self.step.student.buffers():
                dist.broadcast(buffer, src=0)

    def _clip(self) -> None:
        if adapters := self.step.distiller.clipped():
            nn.utils.clip_grad_norm_(adapters, self.config.distiller_clip)
        if self.config.clip is not None:
            nn.utils.clip_grad_norm_(self.step.learnt(), self.config.clip)

    def _accumulate(self, iteration: int, images: Tensor, targets: Targets) -> dict[str, Tensor]:
        """The gradient of this rank's share of a batch, part by part; the terms are the parts' means.

        The task loss of a part is divided by the count of all of them, so together they
        are what the share is as a whole. Ranks average their gradients once, with the last part.
        Every so-many-th image is a part: so, over all ranks, it has the same images for any number.
        """
        parts, task = self.config.accumulate, self.step.task
        count = mean_count(task.count(targets))
        found = []
        for place in range(parts):
            share = images[place::parts], task.part(targets, place, parts)
            whole = self.world == 1 or place == parts - 1
            with nullcontext() if whole else self._model.no_sync():  # type: ignore[operator]
                terms = self._terms(iteration, place, *share, count / parts)
                (torch.stack(list(terms.values())).sum() / parts).backward()
            found.append({name: term.detach() for name, term in terms.items()})
        self._average_adversary()
        return {name: torch.stack([terms[name] for terms in found]).mean(0) for name in found[0]}

    def _average_adversary(self) -> None:
        """Over ranks, as DDP does for the rest; it would take the gradients of one backward pass alone."""
        gradients = [p.grad for p in self.step.adversarial() if p.grad is not None]
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
        if self.device.type == "cuda":
            images = images.to(memory_format=torch.channels_last)
        dtype = self.autocast
        with torch.autocast(self.device.type, dtype or torch.bfloat16, enabled=dtype is not None):
            teacher = teacher_outputs(self.teacher, images)
            parts, seed = self.config.accumulate, self.config.seed
            context = StepContext(seed, iteration, self.rank, self.world, place, parts)
            return self._model(images, targets, teacher, context, count)


def _reconstructions(distiller: nn.Module) -> list[MaskedReconstruction]:
    return [part for part in distiller.modules() if isinstance(part, MaskedReconstruction)]


def _follow(choices: Choices, distiller: nn.Module, device: torch.device) -> None:
    """Let a study's runs on GPUs share a measurement. Those on a CPU round as their twins do."""
    for part in _reconstructions(distiller):
        part.choose = choices if device.type == "cuda" else None


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


def _autocast(config: TrainingConfig, device: torch.device) -> torch.dtype | None:
    half = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return torch.bfloat16 if half else None


def _compiles(config: TrainingConfig, device: torch.device, world: int) -> bool:
    if config.compile != "auto":
        return config.compile == "on"
    # Synchronised batch norm would cut what is compiled into a piece per layer.
    return device.type == "cuda" and world == 1 and config.iterations >= COMPILE_PAYS


def _frozen(
    config: TrialConfig, teacher: SegmentationNetwork, device: torch.device
) -> FrozenTeacher:
    own = next(teacher.parameters()).dtype
    frozen = FrozenTeacher(
        teacher,
        needs=config.distiller.needs.teacher,
        before=for_network(teacher, config.data.normalisation),
        dtype=_autocast(config.training, device) or own,
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
        **_KEPT_BUFFERS,  # `share_buffers` does it where it matters
        gradient_as_bucket_view=True,
    )
