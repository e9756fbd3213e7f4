"""The `study:` section of a search space: how to search."""

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from afdcd.config import FrozenConfig

SamplerName = Literal["gp", "tpe", "random", "grid"]


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
    enqueue: tuple[dict[str, Any], ...] = ()  # settings to run first and at full length
    proof: ProofConfig = ProofConfig()
    champion_anyway: bool = False  # the alias champion without a proof of being better
