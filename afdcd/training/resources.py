"""What one run occupies of a cluster."""

from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from afdcd.config import FrozenConfig


class ResourcesConfig(FrozenConfig):
    """What one trial occupies; changes how fast it runs, not what it computes."""

    workers: PositiveInt = 1
    cpus_per_worker: PositiveFloat = 1.0
    device: Literal["auto", "cpu", "gpu"] = (
        "auto"  # auto: one GPU per worker if the cluster has them
    )
