"""What one worker holds while it trains, and how it tells of a validation or leaves its machine."""

import logging
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import ray.train

from afdcd import storage
from afdcd.tasks.score import Score
from afdcd.text import first_line
from afdcd.training import journal, turn
from afdcd.training.artifacts import save_panel, save_result
from afdcd.training.checkpoint import Position, save_checkpoint
from afdcd.training.job import Failure, Job, Report, said
from afdcd.training.learner import Learner
from afdcd.training.notice import Notice
from afdcd.training.pulse import Pulses
from afdcd.training.resume import DRAINED, NAME
from afdcd.training.trial import TrialConfig


@dataclass
class Run:
    """What one worker holds while it trains.

    Attributes:
        notice: says when a node is being drained.
        saved: the iteration of the checkpoint that this attempt began from.
    """

    job: Job
    learner: Learner
    position: Position
    pulses: Pulses
    notice: Notice
    saved: int = field(init=False)
    _since: float = field(init=False)  # up to when `position.seconds` counts

    def __post_init__(self) -> None:
        self.saved = self.position.iteration
        self.begin()

    @property
    def config(self) -> TrialConfig:
        return self.job.config

    def begin(self) -> None:
        """From now on it trains or validates, which counts; the telling in between does not."""
        self._since = time.monotonic()

    def reach(self, iteration: int, curve: dict[str, list[float]] | None = None) -> None:
        """So far it has come, now.

        Args:
            curve: of `Position`.
        """
        seconds = self.position.seconds + time.monotonic() - self._since
        self.position = Position(iteration=iteration, seconds=seconds, curve=curve)
        self.begin()


def made(run: Run, score: Score, curve: dict[str, list[float]]) -> Report:
    """The report of a validation."""
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


def report(run: Run, score: Score, curve: dict[str, list[float]]) -> None:
    """Keep and report a validation; after the last one also the weights and the picture."""
    learner, made_now = run.learner, made(run, score, curve)
    if learner.rank != 0:
        ray.train.report(said(made_now))
        return
    turn.check(run.job.folder, run.job.token)
    ended = run.position.iteration == run.config.training.iterations
    if ended:  # before the journal, which is to tell of it
        made_now = made_now.model_copy(update={"notes": made_now.notes | _show(run)})
    journal.write(run.job.folder, made_now)
    if ended:
        save_result(run.job, learner.step, score)
    _report_with_checkpoint(run, made_now, NAME)


def leave(run: Run, why: str) -> None:
    """Save at once what was trained since the last checkpoint; the run goes on elsewhere from there."""
    at = run.position.iteration
    run.reach(at, run.position.curve)
    run.pulses.ended()  # for the ledger, as long as the machine is there
    failure = Failure(failed=why, fault="drain", iteration=at)
    if run.learner.rank != 0 or at == run.saved:  # drained again before an iteration was trained
        ray.train.report(said(failure))
        return
    turn.check(run.job.folder, run.job.token)
    _report_with_checkpoint(run, failure, DRAINED)


def _report_with_checkpoint(run: Run, message: Report | Failure, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = (run.learner.step, run.learner.slots(), run.position)
        save_checkpoint(Path(folder), run.job.identity, *state)
        ray.train.report(
            said(message),
            checkpoint=ray.train.Checkpoint.from_directory(folder),
            checkpoint_dir_name=name.format(run.position.iteration),
        )
    if run.job.checkpoint:  # Ray Train does not know of the one that this attempt began from
        with suppress(OSError):  # then the next attempt removes it
            storage.remove_folder(run.job.checkpoint)


def _show(run: Run) -> dict[str, str]:
    """Leave the picture; for want of one no run is lost that was trained to its end.

    Returns:
        A note of why there is none.
    """
    student = run.learner.step.student
    if student is None:  # nothing to be seen
        return {}
    try:
        save_panel(run.job, student, run.learner.device)
    except Exception as error:  # the teacher's file, the data, device and disk each have theirs
        cause = first_line(error)
        logging.getLogger(__name__).warning("%s: no picture: %s", run.job.title, cause)
        return {"picture": f"missing: {cause}"}
    return {}
