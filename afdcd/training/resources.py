"""What one run occupies of a cluster."""

from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from afdcd.config import FrozenConfig


class ResourcesConfig(FrozenConfig):
    """What one trial occupies; changes how fast it runs, not what it computes."""

    workers: PositiveInt = 1
    # As many threads compute. None: one, but all cores of a CPU host for what runs there alone
    # (a teacher). Say 1 for networks so small that threads wait for each other longer than that.
    cpus_per_worker: PositiveFloat | None = None
    device: Literal["auto", "cpu", "gpu"] = (
        "auto"  # auto: one GPU per worker if the cluster has them
    )

    @property
    def cpus(self) -> float:
        """Of each worker."""
        return self.cpus_per_worker or 1.0

    def bundle(self, *, gpu: bool) -> dict[str, float]:
        """What each worker takes of its node."""
        return {"CPU": self.cpus, **({"GPU": 1.0} if gpu else {})}
