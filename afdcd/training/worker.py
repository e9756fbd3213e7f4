"""The loop that one Ray Train worker runs; the same for trials, teachers and single runs."""

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from afdcd.config import validate
from afdcd.data.catalog import DATASETS
from afdcd.data.loader import evaluation_images, train_batches
from afdcd.distillers.none import NoDistiller
from afdcd.models.zoo import SegmentationNetwork
from afdcd.seeds import derive
from afdcd.tasks.segmentation import evaluate
from afdcd.training.artifacts import load_from, save_panel, save_student
from afdcd.training.checkpoint import Position, load_checkpoint, save_checkpoint
from afdcd.training.job import Job
from afdcd.training.optim import build_optimizer, learning_rate, set_learning_rate
from afdcd.training.step import (
    DistillationStep,
    mask_noise,
    mean_over_ranks,
    teacher_outputs,
    valid_pixels,
)
from afdcd.training.trial import TrialConfig, pair_shapes

LOG_POINTS = 20  # loss values kept per validation interval


@dataclass
class _Run:
    """What one worker holds while it trains."""

    job: Job
    device: torch.device
    rank: int
    world: int
    step: DistillationStep
    wrapped: nn.Module
    teacher: SegmentationNetwork | None
    optimizer: torch.optim.Optimizer
    position: Position = field(default_factory=Position)

    @property
    def config(self) -> TrialConfig:
        return self.job.config

    @property
    def bf16(self) -> bool:
        precision = self.config.training.precision
        return precision == "bf16" or (precision == "auto" and self.device.type == "cuda")

    @contextmanager
    def autocast(self) -> Iterator[None]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            yield


def train_loop(plain_job: dict[str, Any]) -> None:
    """Entry point of every worker (`train_loop_per_worker` of the TorchTrainer)."""
    run = _prepare(validate(Job, plain_job))
    training = run.config.training
    if run.position.iteration == training.iterations:  # killed between its last report and its end
        _report(run, {**_validate(run), **_so_far(run), "curve": {"iteration": []}})
    while run.position.iteration < training.iterations:
        started = time.monotonic()
        curve = _train_until(run, run.position.iteration + training.validate_every)
        if "diverged" in curve:
            ray.train.report({"failed": curve["diverged"], **_so_far(run), "miou": float("nan")})
            return
        metrics = _validate(run)
        run.position = Position(
            iteration=run.position.iteration + training.validate_every,
            seconds=run.position.seconds + time.monotonic() - started,
        )
        _report(run, {**metrics, **_so_far(run), "curve": curve})


def _prepare(job: Job) -> _Run:
    context = ray.train.get_context()
    device = ray.train.torch.get_device()
    if device.type == "cpu":
        # As many threads as the worker reserved, or concurrent trials crowd each other out.
        torch.set_num_threads(max(1, int(job.config.resources.cpus_per_worker)))
    step, teacher = _build(job, device)
    wrapped: nn.Module = step
    if context.get_world_size() > 1:
        if device.type == "cuda":
            step.student = nn.SyncBatchNorm.convert_sync_batchnorm(step.student)
        ids = [device.index] if device.type == "cuda" else None
        wrapped = DistributedDataParallel(step, device_ids=ids)
    optimizer = build_optimizer(job.config.training, step.parameters())
    run = _Run(
        job,
        device,
        context.get_world_rank(),
        context.get_world_size(),
        step,
        wrapped,
        teacher,
        optimizer,
    )
    checkpoint = ray.train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            run.position = load_checkpoint(Path(folder), step, optimizer)
    return run


def _build(job: Job, device: torch.device) -> tuple[DistillationStep, SegmentationNetwork | None]:
    config = job.config
    classes = len(DATASETS[config.data.dataset].classes)
    teacher = None
    torch.manual_seed(derive(config.training.seed, "init"))
    student = config.pair.student.build(classes)
    distiller: nn.Module = NoDistiller()
    if job.teacher and config.distiller.method != "none":
        teacher, card = load_from(job.teacher)
        shapes = pair_shapes(config.pair.student, card.model, classes)
        distiller = config.distiller.build(shapes)
        teacher = teacher.eval().requires_grad_(False)
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    step = DistillationStep(student, distiller, config.training.aux_weight)
    step.to(device=device, memory_format=layout).train()  # type: ignore[call-overload]
    if teacher is not None:
        teacher.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    return step, teacher


def _train_until(run: _Run, stop: int) -> dict[str, Any]:
    """Train up to iteration `stop`; the loss curve, with `diverged` set if a term is not finite."""
    training = run.config.training
    curve: dict[str, Any] = {"iteration": []}
    batches = train_batches(
        run.config.data,
        run.config.data.location,
        seed=training.seed,
        batch=training.batch,
        rank=run.rank,
        world=run.world,
        start=run.position.iteration,
        stop=stop,
    )
    every = max(1, training.validate_every // LOG_POINTS)
    for iteration, (images, labels) in enumerate(batches, run.position.iteration):
        set_learning_rate(run.optimizer, lr := learning_rate(training, iteration))
        terms = _iterate(run, iteration, images.to(run.device), labels.to(run.device).long())
        bad = [name for name, value in terms.items() if not math.isfinite(value)]
        if (iteration + 1) % every == 0 or bad:
            curve["iteration"].append(iteration + 1)
            for name, value in {**terms, "total": sum(terms.values()), "lr": lr}.items():
                curve.setdefault(name, []).append(value)
        if bad:
            curve["diverged"] = f"loss term {bad[0]} is not finite at iteration {iteration + 1}"
            break
    return curve


def _iterate(run: _Run, iteration: int, images: Tensor, labels: Tensor) -> dict[str, float]:
    """One optimizer step; the terms' values. Nothing is changed if one of them is not finite."""
    training = run.config.training
    torch.manual_seed(derive(training.seed, "dropout", iteration, run.rank))
    if run.device.type == "cuda":
        images = images.to(memory_format=torch.channels_last)
    with run.autocast():
        teacher = teacher_outputs(run.teacher, images)
        uniform = None
        if teacher is not None and run.step.distiller.needs_uniform:
            batch, _, height, width = teacher.features["encoder"].shape
            uniform = mask_noise(
                (batch, height, width), training.seed, iteration, run.rank, run.world, run.device
            )
        terms = run.wrapped(images, labels, teacher, uniform, valid_pixels(labels))
    run.optimizer.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()
    values = mean_over_ranks(terms)
    if all(map(math.isfinite, values.values())):
        if adapters := list(run.step.distiller.parameters()):
            nn.utils.clip_grad_norm_(adapters, training.distiller_clip)
        run.optimizer.step()
    return values


def _validate(run: _Run) -> dict[str, Any]:
    """Each validation image once over all ranks; the same numbers on every rank."""
    data = run.config.data
    images = evaluation_images(data, run.config.data.location, "val", run.rank, run.world)
    matrix = evaluate(
        run.step.student,
        images,
        len(DATASETS[data.dataset].classes),
        run.device,
        autocast=torch.bfloat16 if run.bf16 else None,
        channels_last=run.device.type == "cuda",
    )
    if run.world > 1:
        dist.all_reduce(matrix.counts)
    return {
        "miou": matrix.miou,
        "pixel_accuracy": matrix.pixel_accuracy,
        "iou": dict(zip(DATASETS[data.dataset].classes, matrix.iou().tolist(), strict=True)),
    }


def _so_far(run: _Run) -> dict[str, Any]:
    return {
        "iteration": run.position.iteration,
        "seconds": run.position.seconds,
        "devices": run.world,
        "device": run.device.type,
    }


def _report(run: _Run, metrics: dict[str, Any]) -> None:
    """Checkpoint and report; on the last validation also the weights and the picture."""
    if run.rank != 0:
        ray.train.report(metrics)
        return
    if run.position.iteration == run.config.training.iterations:
        save_student(run.job, run.step.student, metrics["miou"])
        save_panel(run.job, run.step.student, run.device)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), run.step, run.optimizer, run.position)
        ray.train.report(
            metrics,
            checkpoint=ray.train.Checkpoint.from_directory(folder),
            checkpoint_dir_name=f"iteration_{run.position.iteration:06d}",
        )
