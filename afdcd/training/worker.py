"""The loop that one Ray Train worker runs; the same for trials, teachers and single runs."""

import math
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ray.train
import ray.train.collective
import ray.train.torch
import torch
import torch.distributed as dist

from afdcd import storage
from afdcd.config import UserError, validate
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.train.loader import images_of_each
from afdcd.tasks.names import task_named
from afdcd.tasks.score import LOSS, Score
from afdcd.training import journal, pulse, turn
from afdcd.training.artifacts import load_from, save_result
from afdcd.training.build_learner import build_learner
from afdcd.training.checkpoint import Position, load_checkpoint
from afdcd.training.job import TEACHER, Failure, Job, said
from afdcd.training.learner import Learner
from afdcd.training.notice import DrainedError, Notice
from afdcd.training.optim import learning_rate
from afdcd.training.prepared import load_prepared
from afdcd.training.run import Run, leave, made, report
from afdcd.training.step import total_of

T = TypeVar("T")
LOG_POINTS = 20  # loss values kept per validation interval


def train_loop(plain_job: dict[str, Any], began: float | None = None) -> None:
    """Entry point of every worker (`train_loop_per_worker` of the TorchTrainer).

    Args:
        began: when this process was given to the run, in Unix seconds; now if not given.
    """
    job = validate(Job, plain_job)
    with _beating(job, time.time() if began is None else began) as pulses:
        run = _prepare(job, pulses)
        try:
            _train(run)
        except DrainedError as drained:
            leave(run, str(drained))


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


def _train(run: Run) -> None:
    training = run.config.training
    if run.position.iteration == training.iterations and run.position.curve is None:
        _repeat_the_end(run)  # killed between its last report and its end
    while run.position.iteration < training.iterations or run.position.curve is not None:
        run.begin()
        before, stop = run.position.iteration, _next_validation(run)
        curve = _train_until(run, stop)
        if cause := run.learner.diverged:
            failure = Failure(failed=cause, fault="setting", iteration=before)
            ray.train.report(said(failure))
            return
        run.reach(stop, curve)
        score = _score(run, curve)
        run.reach(stop)
        report(run, score, curve)


def _next_validation(run: Run) -> int:
    """Its iteration: the present one, where a run was saved before it could be validated."""
    at, every = run.position.iteration, run.config.training.validate_every
    return at + every if run.position.curve is None else math.ceil(at / every) * every


def check_data(job: Job) -> None:
    """Raises UserError where the data were prepared anew since the study began: scores would be of others."""
    root = job.config.data.root
    if job.data_digest is None or root is None:
        return
    found = read_manifest(root, job.config.data.dataset).digest
    if found != job.data_digest:
        raise UserError(
            f"{root}: holds data of digest {found[:12]}, the study began with {job.data_digest[:12]}; "
            "put those back, or prepare the new ones at another place and begin a study there"
        )


def _prepare(job: Job, pulses: pulse.Pulses) -> Run:
    check_data(job)
    device = ray.train.torch.get_device()
    if device.type == "cpu":
        # As many threads as the worker reserved, or concurrent trials crowd each other out.
        torch.set_num_threads(max(1, int(job.config.resources.cpus)))
    learner = _learner(job, device)
    position = Position()
    # Ray Train has one where it starts workers anew by itself, after a report of theirs.
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None and job.checkpoint:
        files, path = storage.resolve(job.checkpoint)
        checkpoint = ray.train.Checkpoint(path, files)
    if checkpoint:
        with checkpoint.as_directory() as folder:
            position = load_checkpoint(Path(folder), job.identity, learner.step, learner.slots())
    notice = Notice(
        ray.train.get_preemption_info,
        # A single worker has nobody to agree with.
        *([ray.train.collective.broadcast_from_rank_zero] if learner.world > 1 else []),
    )
    return Run(job, learner, position, pulses, notice)


def _learner(job: Job, device: torch.device) -> Learner:
    context, teacher = ray.train.get_context(), None
    if job.teacher and job.config.distiller.DISTILS:
        teacher, _ = load_from(job.teacher)
    return build_learner(
        job.config,
        task_named(job.config.task).outputs(job.config.data),
        teacher,
        device,
        rank=context.get_world_rank(),
        world=context.get_world_size(),
        choices=job.choices,
        inputs={k: load_prepared(uri)[0] for k, uri in job.inputs.items() if k != TEACHER},
    )


def _train_until(run: Run, stop: int) -> dict[str, list[float]]:
    """Train up to iteration `stop`, or until `learner.diverged`; the loss curve since the last validation.

    Raises:
        DrainedError: a node is being drained; `run.position` says how far it came.
    """
    training, learner, start = run.config.training, run.learner, run.position.iteration
    arriving = learner.step.task.batches(
        run.config.data,
        learner.device,
        seed=training.seed,
        batch=training.batch,
        rank=learner.rank,
        world=learner.world,
        iterations=range(start, stop),
        unlabelled_share=run.config.unlabelled_share,
    )
    every = max(1, training.validate_every // LOG_POINTS)
    curve = run.position.curve or {"iteration": []}
    run.notice.restart()
    for iteration, batch in enumerate(arriving, start):
        learner.iterate(iteration, *batch)
        run.pulses.trained(iteration + 1)
        drained = run.notice.step()
        if (iteration + 1) % every and iteration + 1 < stop and not drained:
            continue
        finished = learner.drain()  # here alone the host waits for the device
        if learner.diverged:
            return curve
        run.pulses.loss = total_of(finished[-1][1])
        if (iteration + 1) % every == 0:
            terms = finished[-1][1]
            logged = {"total": total_of(terms), "lr": learning_rate(training, iteration)}
            for name, value in {"iteration": iteration + 1, **terms, **logged}.items():
                curve.setdefault(name, []).append(value)
        if drained:
            run.reach(iteration + 1, curve)
            raise DrainedError(drained)
    learner.check_state(stop - 1)
    return curve


def _validate(run: Run) -> Score:
    """Each validation image once over all ranks; the same numbers on every rank.

    Raises:
        DrainedError: a node is being drained.
    """
    data, learner, student = run.config.data, run.learner, run.learner.step.student
    assert student is not None
    task = learner.step.task
    run.pulses.validating(run.position.iteration)
    learner.share_buffers()
    images = task.images(data, "val", learner.device, rank=learner.rank, world=learner.world)
    each = images_of_each(data, data.location, "val", learner.world) if learner.world > 1 else None
    images = _counted(images, run, each)
    tally = task.evaluate(
        student,
        images,
        data,
        learner.device,
        autocast=learner.autocast,
        channels_last=learner.device.type == "cuda",
    )
    if learner.world > 1:
        sums = tally.sums.to(learner.device)
        dist.all_reduce(sums)
        tally.sums.copy_(sums)
    return tally.score()


def _score(run: Run, curve: dict[str, list[float]]) -> Score:
    """Of the student; of a run without one, what its terms came to last."""
    if run.learner.step.student:
        return _validate(run)
    return LOSS.score(curve["total"][-1] if curve.get("total") else math.nan)


def _counted(images: Iterator[T], run: Run, each: int | None) -> Iterator[T]:
    """The images; after each it is told how far the validation is, and asked whether to leave.

    Args:
        each: how many every rank has; at one more than that a rank would ask alone.
    """
    run.notice.restart()
    for number, image in enumerate(images, 1):
        yield image
        run.pulses.validated()
        if (each is None or number <= each) and (drained := run.notice.step()):
            raise DrainedError(drained)


def _repeat_the_end(run: Run) -> None:
    """Say again what was reported last, without the checkpoint, which is there."""
    kept = journal.read(run.job.folder, after=run.position.iteration - 1)
    last = kept[-1] if kept else made(run, _score(run, {}), {})
    if run.learner.rank == 0:
        journal.write(run.job.folder, last)
        save_result(run.job, run.learner.step, last.score)
    ray.train.report(said(last))
