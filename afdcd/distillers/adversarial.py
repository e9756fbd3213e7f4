"""What SKD, IFVD and CWD share: logits KD, and a student that is to be taken for its teacher."""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.configs.adversarial import AdversarialConfig
from afdcd.distillers.configs.shapes import PairShapes
from afdcd.distillers.context import StepContext
from afdcd.distillers.critic import Critic
from afdcd.distillers.discriminator import Discriminator
from afdcd.distillers.kd import logits_kd
from afdcd.models.outputs import Output


class AdversarialMethod(Distiller):
    """A subclass adds its own terms."""

    adversary: Discriminator | None

    def __init__(self, config: AdversarialConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config, self.classes = config, pair.classes
        if config.adversarial_weight:
            self.adversary = _player(config, pair.classes)

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        config = self.config
        terms = logits_kd(student, teacher, config.kd_weight, config.temperature)
        terms |= self.own_terms(student, teacher, targets)
        if self.adversary is not None:
            judged = self.adversary.judged(student.logits)
            terms["adversarial"] = -config.adversarial_weight * judged.mean()
        return terms

    def own_terms(
        self, student: Output, teacher: Output, targets: Targets
    ) -> dict[str, Float[Tensor, ""]]:
        raise NotImplementedError


def _player(config: AdversarialConfig, classes: int) -> Discriminator:
    recipe = config.discriminator_optimizer
    if config.adversarial_loss == "hinge":
        return Discriminator(classes, config.discriminator_weight, recipe=recipe)
    penalty = config.gradient_penalty
    return Critic(classes, config.discriminator_weight, penalty=penalty, recipe=recipe)
