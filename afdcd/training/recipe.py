"""The recipe of a run: optimizer, schedule, length and batch, as a search space gives them.

Nothing here imports torch; what a recipe does is in `optim`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from afdcd.config import FrozenConfig, Switch

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
# Lists become tuples in JSON alone, and what `_read_earlier` has seen is none any more.
Pair = Annotated[tuple[Share, Share], Field(strict=False)]
Milestones = Annotated[tuple[PositiveInt, ...], Field(strict=False)]


class SGDConfig(FrozenConfig):
    """Stochastic gradient descent; weight decay is part of the gradient."""

    type: Literal["sgd"] = "sgd"
    momentum: Share = 0.9

    @property
    def slots(self) -> int:
        """Numbers that it keeps of each parameter."""
        return 1 if self.momentum else 0


class AdamWConfig(FrozenConfig):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019); betas and eps are torch's.

    SegFormer's recipe has lr 6e-5, weight_decay 0.01, poly with power 1 (NVlabs/SegFormer@073b02d).
    """

    type: Literal["adamw"] = "adamw"
    betas: Pair = (0.9, 0.999)
    eps: PositiveFloat = 1e-8

    @property
    def slots(self) -> int:
        """Numbers that it keeps of each parameter."""
        return 2


class PolyConfig(FrozenConfig):
    """`(1 - iteration / iterations) ** power`."""

    type: Literal["poly"] = "poly"
    power: PositiveFloat = 0.9


class StepConfig(FrozenConfig):
    """Times `gamma` from each of `milestones` on, which are iterations."""

    type: Literal["step"] = "step"
    milestones: Milestones
    gamma: float = Field(default=0.1, gt=0.0, lt=1.0)


class WarmUpConfig(FrozenConfig):
    """The learning rate rises from `start` of what the schedule says to all of it."""

    iterations: PositiveInt
    start: Share = 1e-6  # as SegFormer's, for 1500 iterations (NVlabs/SegFormer@073b02d)


OptimizerConfig = Annotated[SGDConfig | AdamWConfig, Field(discriminator="type")]
ScheduleConfig = Annotated[PolyConfig | StepConfig, Field(discriminator="type")]
# Keys of before there was a choice: where each lies now, and of which kind it is.
EARLIER = {
    "momentum": ("optimizer", "sgd", "momentum"),
    "poly_power": ("schedule", "poly", "power"),
}


# What keys that came later say of a run that does not use them.
UNUSED = {
    "accumulate": 1,
    "lr_floor": 0.0,
    "unlabelled_share": None,
    "warmup": None,
    "clip": None,
    "head_lr_scale": 1.0,
    "decay_norms": True,
}


class TrainingConfig(FrozenConfig):
    """How a network is trained, counted in optimizer iterations.

    Defaults are those of the paper's code base (winycg/CIRKD@2d8ad0f, OSVAI/Af-DCD@5b086a7).
    `momentum` and `poly_power`, which stood here once, are still read.
    """

    iterations: PositiveInt = 40_000
    batch: PositiveInt = 16  # images per iteration over all workers
    # Parts in which a worker takes its share of the batch, one after the other, where it cannot hold
    # all of it. The gradient is that of the whole; batch norm sees a part at a time.
    accumulate: PositiveInt = 1
    validate_every: PositiveInt = 800  # iterations; each validation is also a checkpoint
    lr: PositiveFloat = 0.02
    # What the schedule ends at, instead of 0: lr_floor + (lr - lr_floor) x schedule. MasKD, mmseg: 1e-4.
    lr_floor: NonNegativeFloat = 0.0
    weight_decay: NonNegativeFloat = 1e-4
    optimizer: OptimizerConfig = SGDConfig()
    schedule: ScheduleConfig = PolyConfig()
    warmup: WarmUpConfig | None = None
    head_lr_scale: PositiveFloat = (
        1.0  # of `lr`, for all of the student but its encoder; SegFormer: 10
    )
    decay_norms: Switch = True  # whether weight decay acts on normalisations; SegFormer: off
    aux_weight: NonNegativeFloat = 0.4
    clip: PositiveFloat | None = None  # L2 norm of the whole gradient; null: as large as it is
    distiller_clip: PositiveFloat = 15.0  # L2 norm of the distiller's gradient alone
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 on GPU, fp32 on CPU
    # Of the student's forward and backward pass. auto: on one GPU, from 2000 iterations on, which
    # win back the minutes it costs. What cannot be compiled runs as it is.
    compile: Literal["auto", "on", "off"] = "auto"
    seed: int = Field(default=0, ge=0)
    # Of the images that a distilled student is shown, those without labels, which teach by the teacher
    # alone; null: as many as the data set has beside the labelled ones.
    unlabelled_share: float | None = Field(default=None, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _read_earlier(cls, values: Any) -> Any:
        return in_present_names(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _fits_its_length(self) -> Self:
        if self.iterations % self.validate_every:
            raise ValueError(
                f"iterations {self.iterations} must be a multiple of validate_every "
                f"{self.validate_every}, so that the last value is a full-length value"
            )
        if self.lr_floor >= self.lr:
            raise ValueError(f"lr_floor {self.lr_floor} must be below lr {self.lr}")
        if self.warmup and self.warmup.iterations >= self.iterations:
            raise ValueError(
                f"warmup.iterations {self.warmup.iterations} must be below iterations {self.iterations}"
            )
        if isinstance(self.schedule, StepConfig):
            _check(self.schedule.milestones, self.iterations)
        return self

    @model_validator(mode="after")
    def _has_a_rate_of_its_optimizer(self) -> Self:
        if self.optimizer.type == "adamw" and "lr" not in self.model_fields_set:
            raise ValueError("optimizer adamw needs lr, e.g. 6e-5: the default is sgd's")
        return self

    def identity(self) -> dict[str, Any]:
        """What two runs that compute the same have in common; how fast they are makes no difference."""
        return {key: value for key, value in self.as_before().items() if key != "compile"}

    def as_before(self) -> dict[str, Any]:
        """As plain values that an earlier edition would have written, if it could.

        What was added later leaves no trace where it is not used, and keys keep their earlier names:
        so a run of before is still the same run, and a teacher the same teacher.
        """
        found = self.plain()
        for key, unused in UNUSED.items():
            if found[key] == unused:
                del found[key]
        for name, (block, kind, key) in EARLIER.items():
            if found[block]["type"] == kind:
                found[name] = found.pop(block)[key]
        return found


def in_present_names(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe, or what a search space says of one, without keys that have other names now.

    Raises:
        ValueError: it has both names, or the earlier one and a block of another kind.
    """
    kept = {key: value for key, value in values.items() if key not in EARLIER}
    for name in EARLIER.keys() & values.keys():
        block, kind, key = EARLIER[name]
        given = kept.get(block, {"type": kind})
        if not isinstance(given, dict) or given.get("type") != kind or key in given:
            raise ValueError(f"{name} is now {block}.{key} of {kind}: leave {name} out")
        kept[block] = {**given, key: values[name]}
    return kept


def recorded(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe on record with all the keys that one has now, whatever edition wrote it."""
    if TrainingConfig.model_fields.keys() <= values.keys():
        return values
    return TrainingConfig.model_validate(values).plain()


def _check(milestones: tuple[int, ...], iterations: int) -> None:
    if not milestones:
        raise ValueError("schedule.milestones must name one iteration at least")
    if list(milestones) != sorted(set(milestones)) or milestones[-1] >= iterations:
        raise ValueError(
            f"schedule.milestones {list(milestones)} must rise and end before iterations {iterations}"
        )
