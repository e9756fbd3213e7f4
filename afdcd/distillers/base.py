"""The contract between the training loop and a distillation method.

Axes in this package: b images, k classes, c channels, h w rows and columns of the feature map,
H W rows and columns of the label map.
"""

from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor

from afdcd.models.outputs import SegOutput

TAP = "encoder"


class Distiller(Protocol):
    """One method: two forward passes in, named and already weighted loss terms out.

    Attributes:
        needs_uniform: whether a call needs `uniform`, draws from [0, 1) for each pixel of the
            student's `encoder` tap. Whoever calls draws them, so that they can depend on seed,
            iteration and image alone, whatever the number of workers.
        needs_logits: whether the teacher's are looked at; else its head need not run, and they
            are an empty [b, 0, h, w] tensor.
    """

    needs_uniform: bool
    needs_logits: bool

    def __call__(
        self,
        student: SegOutput,
        teacher: SegOutput,
        labels: Int[Tensor, "b H W"],
        uniform: Float[Tensor, "b 1 h w"] | None,
    ) -> dict[str, Float[Tensor, ""]]: ...
