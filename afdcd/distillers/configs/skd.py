"""The settings of SKD, structured knowledge distillation (Liu et al. 2019, CVPR)."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat

from afdcd.distillers.configs.adversarial import WGAN, AdversarialConfig, cirkd_scripts
from afdcd.distillers.configs.cost import Cost, likeness
from afdcd.distillers.configs.presets import Preset
from afdcd.distillers.configs.shapes import HEAD, Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.skd import SKD

PresetName = Literal[
    "cityscapes-deeplabv3-resnet18",
    "cityscapes-deeplabv3-mobilenetv2",
    "cityscapes-segformer-b0",
    "cityscapes-pspnet-resnet18",
]
_WEIGHTS: dict[str, Any] = {"pair_weight": 10.0, "pair": "places"}
# Its own code, on a teacher PSPNet-R101. Its KD is a sum over the batch of 8 images: 10 of it are 80.
_OWN = Preset(
    "irfanICMLL/structure_knowledge_distillation@ce208e1 run_train_val.sh, batch 8 on one GPU",
    {
        **WGAN,
        "official": True,
        "kd_weight": 80.0,
        "temperature": 1.0,
        "adversarial_weight": 0.1,
        "discriminator_weight": 0.1,
        "discriminator_optimizer": "sgd-scheduled",
        "pair_weight": 0.5,
        "pair": "halves",
    },
)


class SKDConfig(AdversarialConfig):
    """Of the pair-wise term; the rest is in `AdversarialConfig`.

    Attributes:
        pair: what is compared: "places" of 2x2 cells, as in CIRKD's port, which made the published
            tables, or "halves" of the map, as in SKD's own code, whose weight is 0.5.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = {
        **cirkd_scripts("skd", _WEIGHTS, _WEIGHTS),
        "cityscapes-pspnet-resnet18": _OWN,
    }

    method: Literal["skd"] = "skd"
    preset: PresetName | None = Field(default=None, exclude=True)
    pair_weight: NonNegativeFloat = 10.0
    pair: Literal["places", "halves"] = "places"

    @property
    def needs(self) -> Needs:
        return super().needs | (Needs.of_both(HEAD) if self.pair_weight else Needs())

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        if not self.pair_weight or self.pair == "halves":
            return super().cost(pair, crop)
        nodes = math.prod(math.ceil(side / 2) for side in pair.grid(HEAD, crop))
        return super().cost(pair, crop) + likeness(nodes, nodes, *pair.channels(HEAD))

    def build(self, pair: PairShapes) -> "SKD":
        from afdcd.distillers.skd import SKD

        return SKD(self, pair)
