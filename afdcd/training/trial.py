"""TrialConfig: everything that defines one training run, and its fingerprint."""

import hashlib
import json
from typing import Any, Self

from pydantic import model_validator

from afdcd.config import FrozenConfig, KeyedError, validate
from afdcd.data.train.config import DataConfig
from afdcd.distillers.configs import DistillerConfig, NoneConfig
from afdcd.models.config import ModelConfig
from afdcd.paths import Location
from afdcd.tasks.names import SEGMENTATION, places, task_named
from afdcd.training.recipe import TrainingConfig
from afdcd.training.resources import ResourcesConfig

# Part of every run's identity. To be raised by a change after which the same setting trains another
# network: losses, schedule, augmentation, normalisation over workers, random draws, default weights.
# 1: 1ff7205. 2: several GPU workers keep timm's activations, one network on all ranks is validated.
SEMANTICS = 2
METHOD = ("distiller", "method")
NOT_COMPUTED = ("root", "loader_workers")  # of `data`: where it lies and who reads it


class TeacherConfig(FrozenConfig):
    """Where the teacher comes from: finished weights, or a training run of its own.

    `weights` is a .safetensors file or a `models:/name@alias` URI; `model` is needed unless the
    file carries its own card. `train` trains `model` once and registers it for later studies.
    """

    model: ModelConfig | None = None
    weights: Location | None = None
    train: TrainingConfig | None = None

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if (self.weights is None) == (self.train is None):
            raise ValueError("give either weights (file or models:/ URI) or train, not both")
        if self.train and self.model is None:
            raise ValueError("train needs model: {head, encoder}, the network to train")
        return self

    def as_before(self) -> dict[str, Any]:
        """As plain values that an earlier edition would have written: `TrainingConfig.as_before`."""
        return {**self.plain(), "train": self.train.as_before() if self.train else None}

    def identity(self) -> dict[str, Any]:
        """What two teachers that are the same have in common, until their weights are known."""
        return {**self.plain(), "train": self.train.identity() if self.train else None}


class PairConfig(FrozenConfig):
    """A student and its teacher; `name` labels the pair where a search chooses among several."""

    name: str | None = None
    student: ModelConfig
    teacher: TeacherConfig | None = None

    @property
    def label(self) -> str:
        """`teacher > student`, or the student alone."""
        teacher = self.teacher
        if teacher is None:
            return self.student.name
        return f"{teacher.model.name if teacher.model else teacher.weights} > {self.student.name}"


class TrialConfig(FrozenConfig):
    """One training run; `task` is what the network is to do (`afdcd.tasks.names`)."""

    task: str = SEGMENTATION
    data: DataConfig
    pair: PairConfig
    distiller: DistillerConfig = NoneConfig()
    training: TrainingConfig = TrainingConfig()
    resources: ResourcesConfig = ResourcesConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_task()
        if self.distiller.DISTILS and self.pair.teacher is None:
            raise KeyedError(f"method {self.distiller.method!r} needs pair.teacher", *METHOD)
        if self.distiller.couples_images and self.training.accumulate > 1:
            raise KeyedError(
                f"method {self.distiller.method!r} compares the images of a batch with each other, so "
                "it needs all of them at once: set it to 1",
                *("training", "accumulate"),
            )
        _check_shares(("training",), self.training, self.resources.workers)
        if self.pair.teacher and self.pair.teacher.train:
            where = ("pair", "teacher", "train")
            _check_shares(where, self.pair.teacher.train, self.resources.workers)
        return self

    def _check_task(self) -> None:
        if self.task not in places():
            known = ", ".join(sorted(places()))
            raise KeyedError(f"{self.task!r} is not one of {known}", "task")
        tasks = self.distiller.tasks
        if tasks is not None and self.task not in tasks:
            raise KeyedError(
                f"method {self.distiller.method!r} is for {', '.join(sorted(tasks))}, not for task "
                f"{self.task!r}{self.distiller.TASK_REMEDY}",
                *METHOD,
            )

    @property
    def unlabelled_share(self) -> float | None:
        """Of the images that are shown: none without a teacher, as they would teach nothing, and none
        where a method's prerequisite learns."""
        teaches = self.distiller.DISTILS and not self.distiller.PREPARES
        return self.training.unlabelled_share if teaches else 0.0

    def fingerprint(self, data_digest: str, teacher: str | None = None) -> str:
        """64 hex digits that are equal exactly if two runs compute the same.

        Defaults are filled in, names that are only labels are left out, and so is what may change
        no more than rounding and dropout's draws: how many workers, and whether it is compiled.

        Args:
            data_digest: of the prepared data set.
            teacher: sha256 of the teacher's weights; what a plain run would only show in its
                picture makes no difference.
        """
        plain, of_teacher = self.plain(), self.pair.teacher
        distils = self.distiller.DISTILS
        setting = {
            "semantics": SEMANTICS,
            "data": {k: v for k, v in plain["data"].items() if k not in NOT_COMPUTED},
            "data_digest": data_digest,
            "student": self._trained(),
            "teacher": (teacher or (of_teacher and of_teacher.identity())) if distils else None,
            "distiller": self.distiller.identity(),
            "training": self._recipe(),
        }
        if self.task != SEGMENTATION:  # the only one that there was
            setting["task"] = f"{self.task}/{task_named(self.task).semantics}"
        return hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()

    def _recipe(self) -> dict[str, Any]:
        """Without a share of pictures that this run is never shown."""
        said = self.training.identity()
        if self.unlabelled_share == 0.0:
            said.pop("unlabelled_share", None)
        return said

    def _trained(self) -> dict[str, Any] | None:
        student = self.pair.student
        return None if self.distiller.PREPARES else {**student.plain(), "aux": student.has_aux}

    def prerequisite_trials(self) -> dict[str, "TrialConfig"]:
        """The runs that must have ended before this one can begin, by name; they need the teacher."""
        return {
            name: self.updated(
                pair=self.pair.updated(name=None),
                distiller=needed.method,
                training=validate(TrainingConfig, dict(needed.training)),
            )
            for name, needed in self.distiller.prerequisites.items()
        }

    def teacher_trial(self) -> "TrialConfig":
        """The run that trains this trial's teacher: the same data, no distiller."""
        teacher = self.pair.teacher
        if teacher is None or teacher.model is None or teacher.train is None:
            raise ValueError("pair.teacher has no train section")
        return TrialConfig(
            task=self.task,
            data=self.data,
            pair=PairConfig(student=teacher.model),
            training=teacher.train,
            resources=self.resources,
        )


def _check_shares(where: tuple[str, ...], training: TrainingConfig, workers: int) -> None:
    """That each worker has as many images as the others, and enough of them at a time."""
    each, rest = divmod(training.batch, workers)
    if rest:
        raise KeyedError(
            f"{training.batch} must be divisible by resources.workers {workers}", *where, "batch"
        )
    if each % training.accumulate:
        raise KeyedError(
            f"{training.accumulate} must divide the {each} images of a worker",
            *(*where, "accumulate"),
        )
    if each // training.accumulate < 2:
        raise KeyedError(
            "each worker needs at least 2 images at a time (batch norm of pooled features): raise it, or "
            f"lower resources.workers or {'.'.join(where)}.accumulate",
            *(*where, "batch"),
        )
