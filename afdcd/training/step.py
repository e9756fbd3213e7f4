"""One optimizer iteration: student and distiller in one wrap, teacher outside it.

What is drawn is drawn for the global batch and sliced per rank (`StepContext`), and the task loss is
divided by the global count of what it counts, so 1, 2 or 4 workers compute the same gradient.
"""

import logging
from collections.abc import Callable

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.context import StepContext
from afdcd.models.outputs import Output
from afdcd.models.zoo import SegmentationNetwork
from afdcd.tasks.base import Task
from afdcd.tasks.names import SEGMENTATION, task_named
from afdcd.text import first_line

ADVERSARY = "adversary/"  # begins the names of an adversary's terms, which are no part of the total


class DistillationStep(nn.Module):
    """What DDP wraps: images and the teacher's outputs in, named weighted loss terms out.

    Without a student the distiller learns from the teacher alone (`MethodConfig.PREPARES`).

    An adversary's parameters are kept from taking gradients but while its own terms are computed and
    until they have been passed back. DDP, which looks once, therefore leaves them alone.
    """

    def __init__(
        self,
        student: SegmentationNetwork | None,
        distiller: Distiller,
        aux_weight: float,
        task: Task | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.distiller = distiller
        self.aux_weight = aux_weight
        self.task = task or task_named(SEGMENTATION)
        self._lets_adversary_learn(False)
        # Not a module: a compiled forward pass must not show in the names of the state.
        self.run_student: Callable[[Tensor], Output] | None = None

    def forward(
        self,
        images: Float[Tensor, "b 3 H W"],
        targets: Targets,
        teacher: Output | None,
        context: StepContext,
        count: Float[Tensor, ""],
    ) -> dict[str, Float[Tensor, ""]]:
        if self.student is None:
            assert teacher is not None
            return self.distiller(teacher, teacher, targets, context)
        output = (self.run_student or self.student)(images)
        terms = self.task.terms(output, targets, count, aux_weight=self.aux_weight)
        if teacher is None:
            return terms
        self._lets_adversary_learn(False)
        terms |= self.distiller(output, teacher, targets, context)
        if (adversary := self.distiller.adversary) is not None:
            self._lets_adversary_learn(True)
            own = adversary(output.detached(), teacher, targets, context)
            terms |= {f"{ADVERSARY}{name}": term for name, term in own.items()}
        return terms

    def learnt(self) -> list[nn.Parameter]:
        """The parameters that learn by the student's terms: all but an adversary's."""
        theirs = set(self.adversarial())
        return [parameter for parameter in self.parameters() if parameter not in theirs]

    def adversarial(self) -> list[nn.Parameter]:
        adversary = self.distiller.adversary
        return [] if adversary is None else list(adversary.parameters())

    def _lets_adversary_learn(self, learns: bool) -> None:
        if self.distiller.adversary is not None:
            self.distiller.adversary.requires_grad_(learns)


def compiled_or_eager(
    forward: Callable[[Tensor], Output],
) -> Callable[[Tensor], Output]:
    """`forward`, compiled at its first call; left as it is, with a warning, where that fails."""
    chosen: Callable[[Tensor], Output] | None = None

    def run(images: Tensor) -> Output:
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
    teacher: Callable[[Tensor], Output] | None, images: Float[Tensor, "b 3 H W"]
) -> Output | None:
    return None if teacher is None else teacher(images)


def mean_count(count: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """What a task counts, averaged over ranks (at least one): the divisor of its terms.

    DDP averages gradients over ranks, so dividing by the average count divides by the global one.

    Args:
        count: of this rank's share of the batch (`Task.count`); it is changed.
    """
    if dist.is_initialized():
        dist.all_reduce(count)
        count /= dist.get_world_size()
    return count.clamp(min=1.0)


def total_of(terms: dict[str, float]) -> float:
    """What the student is trained by."""
    return sum(value for name, value in terms.items() if not name.startswith(ADVERSARY))


def mean_over_ranks(terms: dict[str, Float[Tensor, ""]]) -> Float[Tensor, " terms"]:
    """The terms' values, averaged over ranks; what is not finite on one is so on all."""
    values = torch.stack([term.detach().float() for term in terms.values()])
    if dist.is_initialized():
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values
