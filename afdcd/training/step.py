"""One optimizer iteration: student and distiller in one wrap, teacher outside it.

The mask noise is drawn for the global batch and sliced per rank, and the task loss is divided by
the global count of labelled pixels, so 1, 2 or 4 workers compute the same gradient.
"""

import logging
from collections.abc import Callable

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn

from afdcd.data.catalog.datasets import IGNORE
from afdcd.models.outputs import SegOutput
from afdcd.models.zoo import SegmentationNetwork
from afdcd.seeds import derive
from afdcd.tasks.segmentation import task_terms
from afdcd.text import first_line


class DistillationStep(nn.Module):
    """What DDP wraps: images and the teacher's outputs in, named weighted loss terms out."""

    def __init__(
        self, student: SegmentationNetwork, distiller: nn.Module, aux_weight: float
    ) -> None:
        super().__init__()
        self.student = student
        self.distiller = distiller
        self.aux_weight = aux_weight
        # Not a module: a compiled forward pass must not show in the names of the state.
        self.run_student: Callable[[Tensor], SegOutput] | None = None

    def forward(
        self,
        images: Float[Tensor, "b 3 H W"],
        labels: Int[Tensor, "b H W"],
        teacher: SegOutput | None,
        uniform: Float[Tensor, "b 1 h w"] | None,
        valid: Float[Tensor, ""],
    ) -> dict[str, Float[Tensor, ""]]:
        output = (self.run_student or self.student)(images)
        terms = task_terms(output, labels, valid, aux_weight=self.aux_weight)
        if teacher is not None:
            terms |= self.distiller(output, teacher, labels, uniform)
        return terms


def compiled_or_eager(
    forward: Callable[[Tensor], SegOutput],
) -> Callable[[Tensor], SegOutput]:
    """`forward`, compiled at its first call; left as it is, with a warning, where that fails."""
    chosen: Callable[[Tensor], SegOutput] | None = None

    def run(images: Tensor) -> SegOutput:
        nonlocal chosen
        if chosen is None:
            chosen = torch.compile(forward, dynamic=False)
            try:
                return chosen(images)
            except Exception as error:  # compiler, driver and network each have errors of their own
                cause = first_line(error)
                logging.getLogger(__name__).warning("the student runs uncompiled: %s", cause)
                chosen = forward
        return chosen(images)

    return run


@torch.no_grad()
def teacher_outputs(
    teacher: Callable[[Tensor], SegOutput] | None, images: Float[Tensor, "b 3 H W"]
) -> SegOutput | None:
    return None if teacher is None else teacher(images)


def mask_noise(
    shape: tuple[int, int, int],
    seed: int,
    iteration: int,
    rank: int,
    world: int,
    device: torch.device,
) -> Float[Tensor, "b 1 h w"]:
    """Uniform [0, 1) noise of this rank's slice of the global batch.

    Args:
        shape: images of this rank, rows and columns of the feature map.
    """
    images, height, width = shape
    generator = torch.Generator(device).manual_seed(derive(seed, "mask", iteration))
    noise = torch.rand((images * world, 1, height, width), generator=generator, device=device)
    return noise[rank * images : (rank + 1) * images]


def valid_pixels(labels: Int[Tensor, "b H W"]) -> Float[Tensor, ""]:
    """Labelled pixels per rank, averaged over ranks (at least one): the task loss's divisor.

    DDP averages gradients over ranks, so dividing by the average count divides by the global one.
    """
    count = (labels != IGNORE).sum().float()
    if dist.is_initialized():
        dist.all_reduce(count)
        count /= dist.get_world_size()
    return count.clamp(min=1.0)


def mean_over_ranks(terms: dict[str, Float[Tensor, ""]]) -> Float[Tensor, " terms"]:
    """The terms' values, averaged over ranks; what is not finite on one is so on all."""
    values = torch.stack([term.detach().float() for term in terms.values()])
    if dist.is_initialized():
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values
