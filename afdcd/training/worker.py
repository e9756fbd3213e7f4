"""The loop that one Ray Train worker runs; the same for trials, teachers and single runs."""

import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from afdcd.config import validate
from afdcd.data.catalog.datasets import DATASETS
from afdcd.data.train.loader import evaluation_images, train_batches
from afdcd.tasks.segmentation import evaluate
from afdcd.training.artifacts import load_from, save_panel, save_student
from afdcd.training.checkpoint import Position, load_checkpoint, save_checkpoint
from afdcd.training.job import Job
from afdcd.training.learner import Learner
from afdcd.training.optim import learning_rate
from afdcd.training.prefetch import prefetch
from afdcd.training.trial import TrialConfig

LOG_POINTS = 20  # loss values kept per validation interval


@dataclass
class _Run:
    """What one worker holds while it trains."""

    job: Job
    learner: Learner
    position: Position

    @property
    def config(self) -> TrialConfig:
        return self.job.config


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
        torch.set_num_threads(max(1, int(job.config.resources.cpus)))
    teacher = None
    if job.teacher and job.config.distiller.method != "none":
        teacher, _ = load_from(job.teacher)
    learner = Learner.build(
        job.config,
        len(DATASETS[job.config.data.dataset].classes),
        teacher,
        device,
        rank=context.get_world_rank(),
        world=context.get_world_size(),
    )
    position = Position()
    checkpoint = ray.train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            position = load_checkpoint(Path(folder), learner.step, learner.optimizer)
    return _Run(job, learner, position)


def _train_until(run: _Run, stop: int) -> dict[str, Any]:
    """Train up to iteration `stop`; the loss curve, with `diverged` set if a term is not finite."""
    training, learner, start = run.config.training, run.learner, run.position.iteration
    batches = train_batches(
        run.config.data,
        run.config.data.location,
        seed=training.seed,
        batch=training.batch,
        rank=learner.rank,
        world=learner.world,
        start=start,
        stop=stop,
        pin=learner.device.type == "cuda",
    )
    every = max(1, training.validate_every // LOG_POINTS)
    curve: dict[str, Any] = {"iteration": []}
    arriving = prefetch(batches, learner.device, run.config.data.normalisation)
    for iteration, batch in enumerate(arriving, start):
        learner.iterate(iteration, *batch)
        if (iteration + 1) % every and iteration + 1 < stop:
            continue
        finished = learner.drain()  # here alone the host waits for the device
        if cause := _divergence(finished):
            return {"diverged": cause}
        if (iteration + 1) % every == 0:
            terms = finished[-1][1]
            logged = {"total": sum(terms.values()), "lr": learning_rate(training, iteration)}
            for name, value in {"iteration": iteration + 1, **terms, **logged}.items():
                curve.setdefault(name, []).append(value)
    return curve


def _divergence(finished: list[tuple[int, dict[str, float]]]) -> str | None:
    for iteration, terms in finished:
        for name, value in terms.items():
            if not math.isfinite(value):
                return f"loss term {name} is not finite at iteration {iteration + 1}"
    return None


def _validate(run: _Run) -> dict[str, Any]:
    """Each validation image once over all ranks; the same numbers on every rank."""
    data, learner = run.config.data, run.learner
    learner.share_buffers()
    images = evaluation_images(data, data.location, "val", learner.rank, learner.world)
    matrix = evaluate(
        learner.step.student,
        images,
        len(DATASETS[data.dataset].classes),
        learner.device,
        absent=DATASETS[data.dataset].absent,
        autocast=learner.autocast,
        channels_last=learner.device.type == "cuda",
    )
    if learner.world > 1:
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
        "devices": run.learner.world,
        "device": run.learner.device.type,
    }


def _report(run: _Run, metrics: dict[str, Any]) -> None:
    """Checkpoint and report; on the last validation also the weights and the picture."""
    learner = run.learner
    if learner.rank != 0:
        ray.train.report(metrics)
        return
    if run.position.iteration == run.config.training.iterations:
        save_student(run.job, learner.step.student, metrics["miou"])
        save_panel(run.job, learner.step.student, learner.device)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), learner.step, learner.optimizer, run.position)
        ray.train.report(
            metrics,
            checkpoint=ray.train.Checkpoint.from_directory(folder),
            checkpoint_dir_name=f"iteration_{run.position.iteration:06d}",
        )
