"""The contract between the training loop and a distillation method.

Axes in this package: b images, k classes, c channels, h w rows and columns of the feature map,
H W rows and columns of the label map.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from afdcd.distillers.context import StepContext
from afdcd.models.outputs import Output

Targets: TypeAlias = Any  # the task's own; of segmentation label maps [b H W]


class Distiller(nn.Module):
    """One method: two forward passes in, named and already weighted loss terms out.

    Its parameters learn with the student's, but for those of `adversary`. Its buffers are its own:
    nothing copies them from rank to rank, so they must come out equal on all. All of it is in
    checkpoints, and nothing of it in the student that is exported.

    One that prepares for another method (`MethodConfig.PREPARES`) is given the teacher's output twice.

    What it reads of the two networks is `MethodConfig.needs` of its settings; other maps may be missing
    (logits then have no channels).

    Attributes:
        adversary: a second player, or None.
        clips: whether `training.distiller_clip` bounds the gradient of its parameters.
    """

    clips = True

    def __init__(self) -> None:
        super().__init__()
        self.adversary: Adversary | None = None

    def clipped(self) -> list[nn.Parameter]:
        """Those whose gradient is bounded, all by one norm."""
        theirs = set() if self.adversary is None else set(self.adversary.parameters())
        return [p for p in self.parameters() if p not in theirs] if self.clips else []

    def read(self, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take over what its prerequisites came to: by name, the state of the distiller that learnt it."""

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        """Terms whose mean over the ranks is what one rank would compute of the whole batch."""
        raise NotImplementedError


class Adversary(nn.Module):
    """What learns against the student, as a discriminator does.

    While the distiller computes its terms, an adversary's parameters take no gradient. Its own terms
    are computed after that, of the same outputs, before either player has moved; their gradient is
    averaged over ranks, and clip and weight decay of the student's optimizer do not see it.
    """

    @property
    def scheduled(self) -> bool:
        """Whether its learning rate falls as the student's does; else it is constant."""
        return False

    def optimizer(self) -> torch.optim.Optimizer:
        """Its optimizer, with the learning rate that it begins with: a fused one of torch."""
        raise NotImplementedError

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        """Its own weighted terms; the student's output is detached."""
        raise NotImplementedError
