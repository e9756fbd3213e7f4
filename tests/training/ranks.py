"""What one process or one of two computes; imports no more than a step needs."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from afdcd.distillers.algorithm import Algorithm
from afdcd.distillers.context import StepContext
from afdcd.tasks.segmentation_task import SEGMENTATION
from afdcd.training import gradient as gradient_file
from afdcd.training.choices import Choices
from afdcd.training.learner import Learner
from afdcd.training.step import mean_count, mean_over_ranks, teacher_outputs
from tests.training.networks import LOUD, batch, build_pair, freeze_noise, learner_of

SMALL_TEACHER = {"pair__teacher__model__encoder": "timm:mobilenetv3_small_050"}


def share(rank: int, world: int) -> tuple[Tensor, Tensor]:
    """This rank's part of a batch."""
    images, labels = batch(side=32)
    size = len(images) // world
    return images[rank * size : (rank + 1) * size], labels[rank * size : (rank + 1) * size]


def gradients(rank: int, world: int) -> dict[str, Tensor]:
    """Gradients and terms of one whole step in double precision, this rank's share of the batch."""
    pair = build_pair(**LOUD, **SMALL_TEACHER)
    freeze_noise(pair.step)
    pair.step.double()
    pair.teacher.double()
    wrapped = DistributedDataParallel(pair.step) if world > 1 else pair.step
    images, labels = share(rank, world)
    images = images.double()
    teacher = teacher_outputs(pair.teacher, images)
    terms = wrapped(
        images,
        labels,
        teacher,
        StepContext(0, 5, rank, world),
        mean_count(SEGMENTATION.count(labels)),
    )
    torch.stack(list(terms.values())).sum().backward()
    means = dict(zip(terms, mean_over_ranks(terms), strict=True))
    values = {f"term.{name}": value for name, value in means.items()}
    return values | {name: p.grad for name, p in pair.step.named_parameters()}


def learned(rank: int, world: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Parameters and terms after two iterations, and after two more.

    Of the third the last rank's images are not finite. Also the names of the parameters of each
    bucket of gradients, in the order in which they were reduced.
    """
    learner = learner_of(rank, world, **LOUD, **SMALL_TEACHER)
    freeze_noise(learner.step)
    buckets = _reduced(learner) if world > 1 else []
    images, labels = share(rank, world)
    for iteration in range(2):
        learner.iterate(iteration, images, labels)
    state = {f"trained.{name}": p.detach().clone() for name, p in learner.step.named_parameters()}
    learner.iterate(2, images * torch.nan if rank == world - 1 else images, labels)
    learner.iterate(3, images, labels)
    state |= {f"diverged.{name}": p.detach() for name, p in learner.step.named_parameters()}
    return state, {"terms": learner.drain(), "buckets": buckets}


def in_parts(rank: int, world: int) -> dict[str, Tensor]:
    """Parameters after two iterations for which each rank takes its share image by image."""
    learner = learner_of(rank, world, training__accumulate=2, **LOUD, **SMALL_TEACHER)
    freeze_noise(learner.step)
    for iteration in range(2):
        learner.iterate(iteration, *share(rank, world))
    return {f"trained.{name}": p.detach() for name, p in learner.step.named_parameters()}


def _reduced(learner: Learner) -> list[list[str]]:
    """A list that each reduced bucket of gradients adds the names of its parameters to."""
    names = {p.data_ptr(): name for name, p in learner.step.named_parameters()}
    seen: list[list[str]] = []

    def hook(_: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
        seen.append([names[p.data_ptr()] for p in bucket.parameters()])
        return allreduce_hook(None, bucket)

    learner.gradient.model.register_comm_hook(None, hook)
    return seen


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    gradient_file.BUCKET_MB = 1  # a convolution of the small projector is larger
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    save_file(gradients(rank, 2), f"{folder}/gradients{rank}.safetensors")
    state, told = learned(rank, 2)
    told["ray"] = "ray" in sys.modules
    measured: Algorithm = "dense" if rank else "kept"  # the ranks' clocks disagree
    choices = Choices(f"{folder}/choices", rank)
    told["choices"] = [choices("a case", lambda: measured) for _ in range(2)]
    save_file(state, f"{folder}/learned{rank}.safetensors")
    save_file(in_parts(rank, 2), f"{folder}/parts{rank}.safetensors")
    Path(f"{folder}/told{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()
