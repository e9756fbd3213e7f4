"""The discriminator as SKD, IFVD and CWD train it in their own code: a critic, by WGAN-GP.

Source: irfanICMLL/structure_knowledge_distillation@ce208e1, YukangWang/IFVD@950a7a5 and
irfanICMLL/TorchDistiller@78bac7c SemSeg-distill, each `utils/criterion.py` and `networks/kd_model.py`.
CIRKD's port of the three plays by hinge instead (`discriminator`).
"""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.base import Targets
from afdcd.distillers.configs.adversarial import Recipe
from afdcd.distillers.context import StepContext
from afdcd.distillers.discriminator import WIDTH, Discriminator
from afdcd.losses.grids import on_one_grid
from afdcd.losses.steepness import gradient_penalty
from afdcd.models.outputs import Output


class Critic(Discriminator):
    """Tells the teacher's logits from the student's without a bound, so it must not be steep.

    Attributes:
        penalty: of its steepness at a random place between the two networks' logits.
    """

    def __init__(
        self,
        classes: int,
        weight: float,
        width: int = WIDTH,
        *,
        penalty: float,
        recipe: Recipe = "adam",
    ) -> None:
        super().__init__(classes, weight, width, recipe=recipe)
        self.penalty = penalty
        self.normalise.derived_twice = True

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        of_student, of_teacher = self.judged(student.logits), self.judged(teacher.logits)
        terms = {"wasserstein": self.weight * (of_student.mean() - of_teacher.mean())}
        if self.penalty:
            steepness = gradient_penalty(self.judged, self._between(student, teacher, step))
            terms["penalty"] = self.weight * self.penalty * steepness
        return terms

    def _between(
        self, student: Output, teacher: Output, step: StepContext
    ) -> Float[Tensor, "b k h w"]:
        """Of each image another mixture of the two, in the size that the layers see."""
        ours, theirs = (self.shown(x) for x in on_one_grid(student.logits, teacher.logits))
        drawn = step.uniform("gradient penalty", (len(ours), 1, 1, 1), ours.device)
        return ours.lerp(theirs, drawn.to(ours.dtype))
