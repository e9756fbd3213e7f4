"""What iterates: student, distiller, teacher and optimizer of one rank, without Ray.

Between two calls of `drain` the host only queues work and reads no value back, so the GPU never
waits for it. Whether loss terms and gradient are finite is therefore decided on the device.
"""

import math
from collections.abc import Callable

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.base import Targets
from afdcd.models.outputs import Output
from afdcd.models.zoo import SegmentationNetwork
from afdcd.seeds import derive
from afdcd.training.choices import reconstructions
from afdcd.training.divergence import Divergence
from afdcd.training.gradient import BatchGradient, autocast_dtype
from afdcd.training.players import Players
from afdcd.training.recipe import TrainingConfig
from afdcd.training.step import DistillationStep


class Learner:
    """What trains on one rank.

    Attributes:
        step: with `.student` and `.distiller`.
        players: the optimizers.
        gradient: with `.teacher`.
    """

    def __init__(
        self,
        config: TrainingConfig,
        step: DistillationStep,
        teacher: Callable[[Tensor], Output] | None,
        device: torch.device,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.config, self.step, self.device = config, step, device
        self.rank, self.world = rank, world
        self.players = Players(config, step)
        self.gradient = BatchGradient(config, step, teacher, device, rank=rank, world=world)
        self._divergence = Divergence(device)
        self.players.stop_by(self._divergence.stopped)

    @property
    def student(self) -> SegmentationNetwork:
        """Raises ValueError where none is trained."""
        if self.step.student is None:
            raise ValueError("this run trains no student")
        return self.step.student

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """That of all but an adversary."""
        return self.players.student

    @property
    def autocast(self) -> torch.dtype | None:
        """What matrix products are computed in, if not in the type of their inputs."""
        return autocast_dtype(self.config, self.device)

    @property
    def diverged(self) -> str | None:
        """What was not finite first, and at which iteration.

        None as long as all is, as far as `drain` and `check_state` have looked.
        """
        return self._divergence.first

    @property
    def notes(self) -> dict[str, str]:
        """What the record should say of how it computes."""
        taken = [part.algorithm for part in reconstructions(self.step.distiller)]
        return {"projector": ", ".join(taken)} if taken else {}

    def iterate(self, iteration: int, images: Float[Tensor, "b 3 H W"], targets: Targets) -> None:
        """One optimizer step on this rank's share of a batch, which is on the device.

        Parameters and momentum stay as they are from the first term or gradient on, on any rank,
        that is not finite; `diverged` says which it was once `drain` has looked.
        """
        torch.manual_seed(derive(self.config.seed, "dropout", iteration, self.rank))
        # Gradients that ranks share lie in DDP's buckets, and parts are added there.
        shared = self.world > 1 and self.config.accumulate > 1
        self.players.begin(iteration, keep=shared)
        terms = self.gradient(iteration, images, targets)
        self._divergence.note(iteration, terms, self.gradient.largest())
        self.gradient.clip()
        self.players.step()

    def slots(self) -> dict[str, Tensor]:
        """What the optimizers keep, by name."""
        return self.players.slots()

    def drain(self) -> list[tuple[int, dict[str, float]]]:
        """Iteration and terms (mean over ranks) of all since the last call, in one transfer."""
        return self._divergence.drain()

    def check_state(self, iteration: int) -> None:
        """See whether weights, running statistics and the optimizer's state are finite, in one transfer.

        A gradient that is finite can still be too large for them, and then a network that predicts
        nothing, or learns nothing any more, would be scored. All ranks come to the same.
        """
        self.share_buffers()
        state = {k: v for k, v in self.step.state_dict().items() if v.is_floating_point()}
        state |= self.slots()
        finite = torch.stack([value.isfinite().all() for value in state.values()]).float()
        if self.world > 1:
            dist.all_reduce(finite, dist.ReduceOp.MIN)
        wrong = [name for name, fine in zip(state, finite.tolist(), strict=True) if not fine]
        self._divergence.look(iteration, dict.fromkeys(wrong, math.nan))

    def share_buffers(self) -> None:
        """Give every rank the student's running statistics of rank 0, whose network is saved.

        The ranks have each seen other images, and what they predict together would be the work of
        no single network. A distiller's buffers are its own, and equal on all ranks.
        """
        if self.world > 1 and self.step.student is not None:
            for buffer in self.step.student.buffers():
                dist.broadcast(buffer, src=0)
