"""The settings of IFVD, intra-class feature variation distillation (Wang et al. 2020, ECCV)."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, NonNegativeFloat

from afdcd.distillers.configs.adversarial import (
    KD_PER_CLASS,
    WGAN,
    AdversarialConfig,
    cirkd_scripts,
)
from afdcd.distillers.configs.cost import Cost, likeness, pixelwise
from afdcd.distillers.configs.presets import Preset
from afdcd.distillers.configs.shapes import HEAD, Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.ifvd import IFVD

PresetName = Literal[
    "cityscapes-deeplabv3-resnet18",
    "cityscapes-deeplabv3-mobilenetv2",
    "cityscapes-segformer-b0",
    "cityscapes-pspnet-resnet18",
]
_WEIGHTS = {"ifv_weight": 20.0}
_OWN = Preset(
    "YukangWang/IFVD@950a7a5 options.py, its defaults; teacher PSPNet-R101, batch 8",
    {
        **WGAN,
        "official": True,
        "kd_weight": KD_PER_CLASS,
        "temperature": 1.0,
        "adversarial_weight": 1e-3,
        "discriminator_weight": 0.1,
        "ifv_weight": 200.0,
    },
)


class IFVDConfig(AdversarialConfig):
    """Of its own term; the rest is in `AdversarialConfig`.

    Attributes:
        official: a pixel without a label whose feature is all zeros differs from its own mean.
        ifv_weight: 20 with logits KD as here; IFVD's own code has 200 beside a KD divided by the
            number of classes.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = {
        **cirkd_scripts("ifvd", _WEIGHTS, _WEIGHTS),
        "cityscapes-pspnet-resnet18": _OWN,
    }

    method: Literal["ifvd"] = "ifvd"
    preset: PresetName | None = Field(default=None, exclude=True)
    ifv_weight: NonNegativeFloat = 20.0

    @property
    def needs(self) -> Needs:
        return super().needs | (Needs.of_both(HEAD) if self.ifv_weight else Needs())

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        if not self.ifv_weight:
            return super().cost(pair, crop)
        places = math.prod(pair.grid(HEAD, crop))
        alike = likeness(places, pair.classes, *pair.channels(HEAD))
        return super().cost(pair, crop) + alike + alike + pixelwise(places, pair.classes, 4)

    def build(self, pair: PairShapes) -> "IFVD":
        from afdcd.distillers.ifvd import IFVD

        return IFVD(self, pair)
