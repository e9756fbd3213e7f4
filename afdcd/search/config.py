"""The `study:` section of a search space: how to search."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from afdcd.config import FrozenConfig, Switch

SamplerName = Literal["gp", "tpe", "random", "grid"]
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_HOURS = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "d": 24.0}


def hours_of(value: Any) -> Any:
    """`36h`, `90m`, `2d` as hours; what is no text stays as it is.

    Raises:
        ValueError: a text that is no duration.
    """
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is no duration; write 36h, 90m or 2d, or hours as a number")
    return float(found[1]) * _HOURS[found[2]]


class BudgetConfig(FrozenConfig):
    """What a study may spend. Nothing starts that the rest cannot pay to its end.

    Attributes:
        runs: full runs' worth, without the proof; the same as `study.trials`.
        device_hours: of GPUs, or of CPU workers where there are none; all that is spent counts:
            start-up, failed and repeated work, teachers trained for this study, measuring, the proof.
        wall_clock: hours that drivers work on the study, the proof among them.
    """

    runs: PositiveInt | None = None
    device_hours: PositiveFloat | None = None
    wall_clock: Annotated[PositiveFloat, BeforeValidator(hours_of)] | None = None


class ProofConfig(FrozenConfig):
    """How the best student is proven: it and what it is held against run with fresh seeds."""

    seeds: NonNegativeInt = 5  # 0 leaves the proof out

    @field_validator("seeds")
    @classmethod
    def _enough(cls, seeds: int) -> int:
        if seeds in (1, 2):
            raise ValueError("an interval needs 3 seeds at least; 0 leaves the proof out")
        return seeds


class StudyConfig(FrozenConfig):
    """The `study:` section of a search space file."""

    name: str | None = None  # default: the file's name
    trials: PositiveInt = 50  # full runs' worth: a run that ends early costs what it has reached
    sampler: SamplerName = "gp"  # who proposes: docs/search.md
    seed: NonNegativeInt = 0
    # Iterations before a trial may be paused; default: no trial is.
    grace: PositiveInt | None = None
    # Of the trials at a rung, one in `reduction` goes on.
    reduction: int = Field(default=3, ge=2)
    max_concurrent: PositiveInt | None = None  # default: as many as the cluster holds
    # The registered model; default: the study's name, or NAME-ID where that belongs to another study.
    model: str | None = None
    keep: PositiveInt = 3  # how many of the best students become model versions
    # Studies whose runs the model learns from; none is a result here.
    warm_start: tuple[str, ...] = ()
    enqueue: tuple[dict[str, Any], ...] = ()  # settings to run first and at full length
    proof: ProofConfig = ProofConfig()
    champion_anyway: Switch = False  # the alias champion without a proof of being better
    budget: BudgetConfig = BudgetConfig()
    # A choice among whose values the runs are divided equally, each searched by itself: distiller.method.
    budget_per: str | None = None

    @property
    def runs(self) -> int:
        """How many full runs' worth is searched."""
        return self.budget.runs or self.trials
