"""The settings of CWD, channel-wise distillation (Shu et al. 2021, ICCV)."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from afdcd.config import Switch
from afdcd.distillers.configs.adversarial import (
    HINGE,
    KD_PER_CLASS,
    WGAN,
    AdversarialConfig,
    cirkd_scripts,
)
from afdcd.distillers.configs.cost import Cost, pixelwise
from afdcd.distillers.configs.presets import Preset
from afdcd.distillers.configs.shapes import HEAD, LOGITS, Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.cwd import CWD

PresetName = Literal[
    "cityscapes-deeplabv3-resnet18",
    "cityscapes-deeplabv3-mobilenetv2",
    "cityscapes-segformer-b0",
    "cityscapes-logits-only",
    "cityscapes-pspnet-resnet18",
]
_SCRIPT: dict[str, Any] = {
    "feature_weight": 50.0,
    "logits_weight": 3.0,
    "channel_temperature": 4.0,
    "clip_adapters": False,
}
LOGITS_ALONE = {
    **_SCRIPT,
    **HINGE,
    "official": True,
    "kd_weight": 0.0,
    "temperature": 1.0,
    "adversarial_weight": 0.0,
    "discriminator_weight": 0.1,
    "feature_weight": 0.0,
}
# README: `bash exp_cwd.sh channel kl 3 4 True True False v1`, with logits KD and the adversarial part.
_WHOLE = {**LOGITS_ALONE, **WGAN, "kd_weight": KD_PER_CLASS, "adversarial_weight": 1e-3}


class CWDConfig(AdversarialConfig):
    """Of its own terms; the rest is in `AdversarialConfig`.

    Attributes:
        official: the feature term is divided by the student's width, as in CIRKD's port; ours by the
            width that is compared, the teacher's, as in the paper and CWD's own code.
        feature_weight: of the maps before the classifiers.
        channel_temperature: of both terms' softmax over places.
        clip_adapters: whether `training.distiller_clip` bounds the gradient of the convolution between
            the two widths; officially nothing does.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = {
        **cirkd_scripts("cwd", _SCRIPT, {**_SCRIPT, "feature_weight": 5.0, "logits_weight": 0.3}),
        "cityscapes-logits-only": Preset(
            "irfanICMLL/TorchDistiller@78bac7c SemSeg-distill, without its adversarial part",
            LOGITS_ALONE,
        ),
        "cityscapes-pspnet-resnet18": Preset(
            "irfanICMLL/TorchDistiller@78bac7c SemSeg-distill/exp_cwd.sh; teacher PSPNet-R101, batch 8",
            _WHOLE,
        ),
    }

    method: Literal["cwd"] = "cwd"
    preset: PresetName | None = Field(default=None, exclude=True)
    feature_weight: NonNegativeFloat = 50.0
    logits_weight: NonNegativeFloat = 3.0
    channel_temperature: PositiveFloat = 4.0
    clip_adapters: Switch = True

    @property
    def needs(self) -> Needs:
        logits = Needs.of_both(LOGITS) if self.logits_weight else Needs()
        return super().needs | logits | (Needs.of_both(HEAD) if self.feature_weight else Needs())

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        found = super().cost(pair, crop)
        if self.logits_weight:
            found += pixelwise(math.prod(pair.grid(LOGITS, crop)), pair.classes)
        if self.feature_weight:
            places, (ours, theirs) = math.prod(pair.grid(HEAD, crop)), pair.channels(HEAD)
            align = 3 * places * ours * theirs if ours != theirs else 0
            found += pixelwise(places, theirs) + Cost(align / 1e9)
        return found

    def identity(self) -> dict[str, Any]:
        """Of adapters that are not clipped it says so; all were, once."""
        found = super().identity()
        if self.clip_adapters or not self.feature_weight:
            del found["clip_adapters"]
        return found

    def build(self, pair: PairShapes) -> "CWD":
        from afdcd.distillers.cwd import CWD

        return CWD(self, pair)
