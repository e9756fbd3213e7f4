"""TrialConfig: everything that defines one training run, and its fingerprint."""

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from afdcd.config import FrozenConfig
from afdcd.data.train.config import DataConfig
from afdcd.distillers.configs import DistillerConfig, NoneConfig
from afdcd.models.config import ModelConfig
from afdcd.paths import Location
from afdcd.training.resources import ResourcesConfig

# Part of every run's identity. To be raised by a change after which the same setting trains another
# network: losses, schedule, augmentation, normalisation over workers, random draws, default weights.
# 1: 1ff7205. 2: several GPU workers keep timm's activations, one network on all ranks is validated.
SEMANTICS = 2
NOT_COMPUTED = ("root", "loader_workers")  # of `data`: where it lies and who reads it


class TrainingConfig(FrozenConfig):
    """The recipe: SGD with a polynomial schedule, counted in optimizer iterations.

    Defaults are those of the paper's code base (winycg/CIRKD@2d8ad0f, OSVAI/Af-DCD@5b086a7).
    """

    iterations: PositiveInt = 40_000
    batch: PositiveInt = 16  # images per iteration over all workers
    validate_every: PositiveInt = 800  # iterations; each validation is also a checkpoint
    lr: PositiveFloat = 0.02
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    weight_decay: NonNegativeFloat = 1e-4
    poly_power: PositiveFloat = 0.9
    aux_weight: NonNegativeFloat = 0.4
    distiller_clip: PositiveFloat = (
        15.0  # L2 norm of the distiller's gradient; the student's is free
    )
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 on GPU, fp32 on CPU
    # Of the student's forward and backward pass. auto: on one GPU, from 2000 iterations on, which
    # win back the minutes it costs. What cannot be compiled runs as it is.
    compile: Literal["auto", "on", "off"] = "auto"
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _ends_with_a_validation(self) -> Self:
        if self.iterations % self.validate_every:
            raise ValueError(
                f"iterations {self.iterations} must be a multiple of validate_every "
                f"{self.validate_every}, so that the last value is a full-length value"
            )
        return self


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
    data: DataConfig
    pair: PairConfig
    distiller: DistillerConfig = NoneConfig()
    training: TrainingConfig = TrainingConfig()
    resources: ResourcesConfig = ResourcesConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.distiller.method != "none" and self.pair.teacher is None:
            raise ValueError(f"method {self.distiller.method!r} needs pair.teacher")
        per_worker, rest = divmod(self.training.batch, self.resources.workers)
        if rest:
            raise ValueError(
                f"training.batch {self.training.batch} must be divisible by "
                f"resources.workers {self.resources.workers}"
            )
        if per_worker < 2:
            raise ValueError(
                "each worker needs at least 2 images (batch norm of pooled features): raise "
                "training.batch or lower resources.workers"
            )
        return self

    def fingerprint(self, data_digest: str, teacher: str | None = None) -> str:
        """64 hex digits that are equal exactly if two runs compute the same.

        Defaults are filled in, names that are only labels are left out, and so is what may change
        no more than rounding and dropout's draws: how many workers, and whether it is compiled.

        Args:
            data_digest: of the prepared data set.
            teacher: sha256 of the teacher's weights; what a plain run would only show in its
                picture makes no difference.
        """
        plain = self.plain()
        distils = self.distiller.method != "none"
        setting = {
            "semantics": SEMANTICS,
            "data": {k: v for k, v in plain["data"].items() if k not in NOT_COMPUTED},
            "data_digest": data_digest,
            "student": {**plain["pair"]["student"], "aux": self.pair.student.has_aux},
            "teacher": (teacher or _without_compile(plain["pair"]["teacher"])) if distils else None,
            "distiller": plain["distiller"],
            "training": _without_compile(plain["training"]),
        }
        return hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()

    def teacher_trial(self) -> "TrialConfig":
        """The run that trains this trial's teacher: the same data, no distiller."""
        teacher = self.pair.teacher
        if teacher is None or teacher.model is None or teacher.train is None:
            raise ValueError("pair.teacher has no train section")
        return TrialConfig(
            data=self.data,
            pair=PairConfig(student=teacher.model),
            training=teacher.train,
            resources=self.resources,
        )


def _without_compile(plain: dict[str, Any]) -> dict[str, Any]:
    """Plain values without the key that says how fast a run is, at any depth."""
    return {
        key: _without_compile(value) if isinstance(value, dict) else value
        for key, value in plain.items()
        if key != "compile"
    }
