"""The loop that one Ray Train worker runs; the same for trials, teachers and single runs."""

import logging
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from afdcd import storage
from afdcd.config import validate
from afdcd.data.catalog.datasets import DATASETS
from afdcd.data.train.loader import evaluation_images, train_batches
from afdcd.data.train.to_device import prefetch
from afdcd.tasks.score import Score
from afdcd.tasks.scores import score_of
from afdcd.tasks.segmentation import evaluate
from afdcd.text import first_line
from afdcd.training import journal, pulse, turn
from afdcd.training.artifacts import load_from, save_panel, save_student
from afdcd.training.checkpoint import Position, load_checkpoint, save_checkpoint
from afdcd.training.job import Failure, Job, Report, said
from afdcd.training.learner import Learner
from afdcd.training.optim import learning_rate
from afdcd.training.resume import NAME
from afdcd.training.trial import TrialConfig

T = TypeVar("T")
LOG_POINTS = 20  # loss values kept per validation interval


@dataclass
class _Run:
    """What one worker holds while it trains."""

    job: Job
    learner: Learner
    position: Position
    pulses: pulse.Pulses

    @property
    def config(self) -> TrialConfig:
        return self.job.config


def train_loop(plain_job: dict[str, Any], began: float | None = None) -> None:
    """Entry point of every worker (`train_loop_per_worker` of the TorchTrainer).

    Args:
        began: when this process was given to the run, in Unix seconds; now if not given.
    """
    job = validate(Job, plain_job)
    with _beating(job, time.time() if began is None else began) as pulses:
        _train(_prepare(job, pulses))


@contextmanager
def _beating(job: Job, began: float) -> Iterator[pulse.Pulses]:
    """What tells how far the run is; the first worker's alone is heard."""
    context, training = ray.train.get_context(), job.config.training
    attempt = pulse.Attempt(
        started=began,
        at=began,
        devices=context.get_world_size(),
        device=ray.train.torch.get_device().type,
        node=platform.node(),
    )
    of_run = (training.iterations, training.batch, attempt)
    if context.get_world_rank() != 0:
        yield pulse.Pulses(*of_run, post=lambda _: None)
        return
    turn.take(job.folder, job.token)
    mailbox = pulse.Mailbox(partial(pulse.write, job.folder))
    pulses = pulse.Pulses(*of_run, post=mailbox.put, earlier=pulse.attempts(job.folder))
    try:
        yield pulses
    finally:
        pulses.ended()
        mailbox.close()


def _train(run: _Run) -> None:
    training = run.config.training
    if run.position.iteration == training.iterations:  # killed between its last report and its end
        _repeat_the_end(run)
    while run.position.iteration < training.iterations:
        started = time.monotonic()
        stop = run.position.iteration + training.validate_every
        curve = _train_until(run, stop)
        if cause := run.learner.diverged:
            at = run.position.iteration
            ray.train.report(said(Failure(failed=cause, fault="setting", iteration=at)))
            return
        run.pulses.validating(stop)
        score = _validate(run)
        seconds = run.position.seconds + time.monotonic() - started
        run.position = Position(iteration=stop, seconds=seconds)
        _report(run, score, curve)


def _prepare(job: Job, pulses: pulse.Pulses) -> _Run:
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
        choices=job.choices,
    )
    position = Position()
    # Ray Train has one where it starts workers anew by itself, after a report of theirs.
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None and job.checkpoint:
        files, path = storage.resolve(job.checkpoint)
        checkpoint = ray.train.Checkpoint(path, files)
    if checkpoint:
        with checkpoint.as_directory() as folder:
            position = load_checkpoint(Path(folder), job.identity, learner.step, learner.optimizer)
    return _Run(job, learner, position, pulses)


def _train_until(run: _Run, stop: int) -> dict[str, list[float]]:
    """Train up to iteration `stop`, or until `learner.diverged`; the loss curve."""
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
    curve: dict[str, list[float]] = {"iteration": []}
    arriving = prefetch(batches, learner.device, run.config.data.normalisation)
    for iteration, batch in enumerate(arriving, start):
        learner.iterate(iteration, *batch)
        run.pulses.trained(iteration + 1)
        if (iteration + 1) % every and iteration + 1 < stop:
            continue
        finished = learner.drain()  # here alone the host waits for the device
        if learner.diverged:
            return curve
        run.pulses.loss = sum(finished[-1][1].values())
        if (iteration + 1) % every == 0:
            terms = finished[-1][1]
            logged = {"total": sum(terms.values()), "lr": learning_rate(training, iteration)}
            for name, value in {"iteration": iteration + 1, **terms, **logged}.items():
                curve.setdefault(name, []).append(value)
    learner.check_state(stop - 1)
    return curve


def _validate(run: _Run) -> Score:
    """Each validation image once over all ranks; the same numbers on every rank."""
    data, learner = run.config.data, run.learner
    learner.share_buffers()
    images = evaluation_images(
        data, data.location, "val", learner.rank, learner.world, learner.device
    )
    images = _counted(images, run.pulses)
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
    return score_of(matrix, DATASETS[data.dataset].classes)


def _counted(images: Iterator[T], pulses: pulse.Pulses) -> Iterator[T]:
    for image in images:
        yield image
        pulses.validated()


def _repeat_the_end(run: _Run) -> None:
    """Say again what was reported last, without the checkpoint, which is there."""
    kept = journal.read(run.job.folder, after=run.position.iteration - 1)
    report = kept[-1] if kept else None
    if report is None:
        run.pulses.validating(run.position.iteration)
        report = _made(run, _validate(run), {})
    if run.learner.rank == 0:
        journal.write(run.job.folder, report)
        save_student(run.job, run.learner.step.student, report.score)
    ray.train.report(said(report))


def _show(run: _Run) -> dict[str, str]:
    """Leave the picture; for want of one no run is lost that was trained to its end.

    Returns:
        A note of why there is none.
    """
    try:
        save_panel(run.job, run.learner.step.student, run.learner.device)
    except Exception as error:  # the teacher's file, the data, device and disk each have theirs
        cause = first_line(error)
        logging.getLogger(__name__).warning("%s: no picture: %s", run.job.title, cause)
        return {"picture": f"missing: {cause}"}
    return {}


def _made(run: _Run, score: Score, curve: dict[str, list[float]]) -> Report:
    return Report(
        iteration=run.position.iteration,
        score=score,
        seconds=run.position.seconds,
        devices=run.learner.world,
        device=run.learner.device.type,
        curve=curve,
        at=time.time(),
        device_seconds=run.pulses.device_seconds(),
        notes=run.learner.notes,
    )


def _report(run: _Run, score: Score, curve: dict[str, list[float]]) -> None:
    """Keep and report a validation; after the last one also the weights and the picture."""
    learner, report = run.learner, _made(run, score, curve)
    if learner.rank != 0:
        ray.train.report(said(report))
        return
    turn.check(run.job.folder, run.job.token)
    ended = run.position.iteration == run.config.training.iterations
    if ended:  # before the journal, which is to tell of it
        report = report.model_copy(update={"notes": report.notes | _show(run)})
    journal.write(run.job.folder, report)
    if ended:
        save_student(run.job, learner.step.student, score)
    with tempfile.TemporaryDirectory() as folder:
        state = (learner.step, learner.optimizer, run.position)
        save_checkpoint(Path(folder), run.job.identity, *state)
        ray.train.report(
            said(report),
            checkpoint=ray.train.Checkpoint.from_directory(folder),
            checkpoint_dir_name=NAME.format(run.position.iteration),
        )
    if run.job.checkpoint:  # Ray Train does not know of the one that this attempt began from
        with suppress(OSError):  # then the next attempt removes it
            storage.remove_folder(run.job.checkpoint)
