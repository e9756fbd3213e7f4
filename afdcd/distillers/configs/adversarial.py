"""The settings that skd, ifvd and cwd share: logits KD and a discriminator."""

import math
from typing import Any, Literal

from pydantic import NonNegativeFloat, PositiveFloat

from afdcd.config import Switch
from afdcd.distillers.configs.cost import Cost
from afdcd.distillers.configs.method import MethodConfig
from afdcd.distillers.configs.presets import Preset
from afdcd.distillers.configs.shapes import LOGITS, Needs, PairShapes

Recipe = Literal["adam", "adam-scheduled", "sgd-scheduled"]

# For each place of the logits: 0.27 GMAC a forward pass over 64x128, and 28 MB kept.
DISCRIMINATOR = Cost(2.4 / (64 * 128), 3 * 28e6 / (64 * 128))
PENALISED = 1.75, 1.4  # times as much with a gradient penalty, counted on this code
SMALLEST = 64  # rows and columns of logits that the discriminator's layers leave something of

DEEPLABV3 = ("cityscapes-deeplabv3-resnet18", "cityscapes-deeplabv3-mobilenetv2")
SEGFORMER = "cityscapes-segformer-b0"


class AdversarialConfig(MethodConfig):
    """Defaults are the published weights.

    Attributes:
        official: the formula of winycg/CIRKD@2d8ad0f, which made the published tables, where ours
            differs from it (see the method).
        temperature: of logits KD.
        adversarial_weight: of what the student gains by being taken for the teacher; at 0 there is no
            discriminator.
        discriminator_weight: of the discriminator's own loss.
        adversarial_loss: what the two play: "hinge" as in CIRKD's port, "wgan-gp" as in the methods'
            own code, where the discriminator knows no bound but `gradient_penalty`.
        gradient_penalty: of wgan-gp.
        discriminator_optimizer: "adam" at a constant rate as in the port, "adam-scheduled" as in IFVD's
            and CWD's own code, where the rate falls as the student's does, "sgd-scheduled" as in SKD's.
    """

    official: Switch = False
    kd_weight: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 1.0
    adversarial_weight: NonNegativeFloat = 1e-3
    discriminator_weight: NonNegativeFloat = 0.1
    adversarial_loss: Literal["hinge", "wgan-gp"] = "hinge"
    gradient_penalty: NonNegativeFloat = 10.0
    discriminator_optimizer: Recipe = "adam"

    @property
    def tasks(self) -> frozenset[str] | None:
        return frozenset({"segmentation"})  # a softmax over classes

    @property
    def couples_images(self) -> bool:
        return bool(self.adversarial_weight)  # by the discriminator's batch norm

    @property
    def needs(self) -> Needs:
        reads = self.kd_weight or self.adversarial_weight
        return Needs.of_both(LOGITS) if reads else Needs()

    def check(self, pair: PairShapes, crop: tuple[int, int]) -> None:
        """Raises ValueError for an official discriminator on a map that is too small for it."""
        if self.official and (small := self._small(pair, crop)):
            raise ValueError(
                f"official: the discriminator takes no logits of {small[0]}x{small[1]}, but of "
                f"{SMALLEST}x{SMALLEST} and more; train on larger crops, or set official to false or "
                "adversarial_weight to 0"
            )

    def notes(self, pair: PairShapes, crop: tuple[int, int]) -> list[str]:
        if not (small := self._small(pair, crop)):
            return []
        size = "x".join(str(max(side, SMALLEST)) for side in small)
        return [
            f"discriminator: logits of {small[0]}x{small[1]} are resized to {size}, which is the least "
            "that it takes; the published method has no such case"
        ]

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        """Of the discriminator: three forward passes and two backward ones over the logits.

        A gradient penalty is one more of each, of which the backward one is derived again.
        """
        if not self.adversarial_weight:
            return Cost()
        area = math.prod(max(side, SMALLEST) for side in pair.grid(LOGITS, crop))
        penalised = self.adversarial_loss == "wgan-gp" and self.gradient_penalty
        gmacs, kept = PENALISED if penalised else (1.0, 1.0)
        return Cost(gmacs * DISCRIMINATOR.gmacs * area, kept * DISCRIMINATOR.kept * area)

    def identity(self) -> dict[str, Any]:
        """Without keys that came later where they change nothing: a run of before is still the same."""
        plays = bool(self.adversarial_weight)
        wasserstein = plays and self.adversarial_loss != "hinge"
        said = {
            "adversarial_loss": wasserstein,
            "gradient_penalty": wasserstein,
            "discriminator_optimizer": plays and self.discriminator_optimizer != "adam",
        }
        return {key: value for key, value in self.plain().items() if said.get(key, True)}

    def _small(self, pair: PairShapes, crop: tuple[int, int]) -> tuple[int, int] | None:
        grids = [side.grid(crop) for side in pair.taps[LOGITS]]
        least = min(grids, key=min)
        return least if self.adversarial_weight and min(least) < SMALLEST else None


# How the second player learns: in CIRKD's port, and in IFVD's and CWD's own code (SKD's has SGD).
HINGE: dict[str, Any] = {
    "adversarial_loss": "hinge",
    "gradient_penalty": 10.0,
    "discriminator_optimizer": "adam",
}
WGAN: dict[str, Any] = {
    "adversarial_loss": "wgan-gp",
    "gradient_penalty": 10.0,
    "discriminator_optimizer": "adam-scheduled",
}
# Their KD is a mean over classes, too: 10 of it are so much of ours for the 19 of Cityscapes.
KD_PER_CLASS = 10 / 19


def cirkd_scripts(
    name: str, weights: dict[str, Any], segformer: dict[str, Any]
) -> dict[str, Preset]:
    """The presets of a method of which CIRKD's repository has a script for three pairs on Cityscapes."""
    shared = {
        "official": True,
        "kd_weight": 1.0,
        "temperature": 1.0,
        "adversarial_weight": 1e-3,
        "discriminator_weight": 0.1,
        **HINGE,
    }
    source = f"winycg/CIRKD@2d8ad0f train_scripts/train_kd/train_{name}.sh"
    settings = {**dict.fromkeys(DEEPLABV3, weights), SEGFORMER: segformer}
    return {pair: Preset(source, {**shared, **values}) for pair, values in settings.items()}
