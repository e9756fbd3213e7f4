"""A training run as it is handed to a Ray Train worker, what it reports, and how it ended."""

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

import pydantic
import pydantic_core

from afdcd.config import FrozenConfig, validate
from afdcd.tasks.score import Score
from afdcd.training.trial import TrialConfig

# completed: to its full length. paused: stopped early, its checkpoint is kept. infeasible: the
# setting's fault, so that it would end so everywhere. lost: the machine's or the data's fault, or its
# machine is taken away. killed: a person's doing.
Outcome = Literal["completed", "paused", "infeasible", "lost", "killed"]
FINISHED: tuple[Outcome, ...] = ("completed", "paused", "infeasible")  # need not be run again
Fault = Literal["setting", "data", "machine", "memory", "drain"]  # drain: nobody's, with notice
TEACHER = "teacher"  # of `Job.inputs`
CHOICES = "choices"  # the folder of `Job.choices`, in that of a study


class Job(FrozenConfig):
    """One run as a worker needs it.

    Attributes:
        name: identifies the run in its study for ever; `title` is for people.
        folder: path or URI; receives checkpoints, journal, the final weights and the picture.
        identity: of setting, data, teacher and seed (`TrialConfig.fingerprint`); a checkpoint of
            another one is refused.
        data_digest: of the prepared data that the identity speaks of; others are refused.
        token: of the driver's lease; the folder is that of the driver with the highest.
        repeats: name of the run with the same setting that this one adds a seed to.
        inputs: what the run learns from, by name, as .safetensors paths or URIs: "teacher", with its
            card inside, which a run without distillation only shows in the picture; and what the
            method's prerequisites came to (`afdcd.training.prepared`).
        choices: folder of what the runs of a study have agreed on (`afdcd.training.choices`); None
            outside of a study.
        checkpoint: folder to go on from; found anew by each attempt (`afdcd.training.resume`).
    """

    name: str
    title: str
    config: TrialConfig
    folder: str
    identity: str
    data_digest: str | None = None
    token: int = 0
    repeats: str | None = None
    inputs: dict[str, str] = pydantic.Field(default_factory=dict)
    choices: str | None = None
    checkpoint: str | None = None

    @property
    def teacher(self) -> str | None:
        return self.inputs.get(TEACHER)


class Report(FrozenConfig):
    """What a run says of itself at a validation.

    Attributes:
        seconds: spent training and validating so far, over all attempts, what was lost excepted.
        devices: GPUs, or CPU workers.
        device_seconds: for which devices were held so far, start-up and lost work included; None in
            journals that do not say it.
        curve: loss terms and learning rate by name since the last report; "iteration" says where.
        at: when it was made, in seconds since 1970; None in journals that do not say it.
        notes: what else the record should say of the run, by short names.
    """

    model_config = pydantic.ConfigDict(allow_inf_nan=True)

    iteration: int
    score: Score
    seconds: float
    devices: int
    device: str
    curve: dict[str, list[float]] = pydantic.Field(default_factory=dict)
    at: float | None = None
    device_seconds: float | None = None
    notes: dict[str, str] = pydantic.Field(default_factory=dict)

    @property
    def device_hours(self) -> float:
        """GPU-hours, or worker-hours of CPU workers."""
        known = self.device_seconds
        return (self.seconds * self.devices if known is None else known) / 3600


class Failure(FrozenConfig):
    """Why a run ended before its last iteration, as its process reported it.

    Attributes:
        failed: one line.
        iteration: of its last checkpoint; 0 if there is none, or if that is not known.
    """

    failed: str
    fault: Fault
    iteration: int = 0


SAID = "said"  # the key under which a run's message travels


def said(message: Report | Failure) -> dict[str, str]:
    """A message as Ray hands it on: one text, because Tune flattens whatever is nested."""
    return {SAID: pydantic_core.to_json(message.plain(), inf_nan_mode="constants").decode()}


def message_of(result: dict[str, Any]) -> Report | Failure | None:
    """What a run said, out of what Tune made of it; None if it said nothing."""
    if SAID not in result:
        return None
    values = json.loads(result[SAID])
    return validate(Failure, values) if "failed" in values else validate(Report, values)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        last: its last report; None if it never made one.
        saved: the iteration that a drained run goes on from, if it says so.
    """

    outcome: Outcome
    last: Report | None = None
    cause: str = ""
    fault: Fault | None = None
    saved: int = 0

    @property
    def score(self) -> Score:
        """Of the last report.

        Raises:
            ValueError: there was none.
        """
        if self.last is None:
            raise ValueError("a run without a report has no score")
        return self.last.score


def result_of(iterations: int, last: Report | None, failure: Failure | None) -> RunResult:
    """How a run of so many iterations ended, by what it reported last and by what went wrong."""
    if failure:
        infeasible = failure.fault == "setting"
        outcome: Outcome = "infeasible" if infeasible else "lost"
        saved = failure.iteration if failure.fault == "drain" else 0
        return RunResult(outcome, last, failure.failed, failure.fault, saved)
    if last and not math.isfinite(last.score.value):
        cause = f"its score is {last.score.value}: has the val split labelled pixels?"
        return RunResult("lost", last, cause, "data")
    if last and last.iteration == iterations:
        return RunResult("completed", last)
    return RunResult("paused", last)
