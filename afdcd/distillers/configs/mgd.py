"""The settings of MGD (Yang et al. 2022, ECCV, sec. 3): its feature term, and two for the logits."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from afdcd.config import Switch
from afdcd.distillers.configs.cost import Cost, pixelwise
from afdcd.distillers.configs.presets import Preset
from afdcd.distillers.configs.reconstruction import ReconstructionConfig
from afdcd.distillers.configs.shapes import LOGITS, Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.mgd import MGD


PresetName = Literal["cityscapes-pspnet-resnet18", "cityscapes-deeplabv3-resnet18"]
PUBLISHED: dict[str, Any] = {
    "weights": "official",
    "kd_weight": 0.0,
    "temperature": 1.0,
    "fd_weight": 2e-5,
    "mask": "random",
    "mask_ratio": 0.75,
    "projector": "plain",
    "logits_weight": 3.0,
    "channel_temperature": 4.0,
    "clip_adapters": False,
}


class MGDConfig(ReconstructionConfig):
    """Defaults are Af-DCD's own use of MGD's term; as published it is a preset.

    Attributes:
        logits_weight: of the channel-wise KL of the logits, CWD's, which the published method has.
        channel_temperature: of its softmax over places.
        clip_adapters: whether `training.distiller_clip` bounds the gradient of the projector, as in
            Af-DCD's code; MGD's has none.
    """

    # Its teacher was PSPNet-R101, with other crops and another recipe than the paper's pair.
    PRESETS: ClassVar[Mapping[str, Preset]] = {
        "cityscapes-pspnet-resnet18": Preset(
            "yzd-v/MGD@2c9da0b mmseg/configs, psp_r101_distill_psp_r18", PUBLISHED
        ),
        "cityscapes-deeplabv3-resnet18": Preset(
            "yzd-v/MGD@2c9da0b mmseg/configs, psp_r101_distill_deepv3_r18", PUBLISHED
        ),
    }

    method: Literal["mgd"] = "mgd"
    preset: PresetName | None = Field(default=None, exclude=True)
    logits_weight: NonNegativeFloat = 0.0
    channel_temperature: PositiveFloat = 4.0
    clip_adapters: Switch = True

    @property
    def tasks(self) -> frozenset[str] | None:
        return frozenset({"segmentation"}) if self.logits_weight else super().tasks

    @property
    def needs(self) -> Needs:
        return super().needs | (Needs.of_both(LOGITS) if self.logits_weight else Needs())

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        found = super().cost(pair, crop)
        if self.logits_weight:
            found += pixelwise(math.prod(pair.grid(LOGITS, crop)), pair.classes)
        return found

    def identity(self) -> dict[str, Any]:
        """As the method was called first, when it had no term for logits, and its projector was always
        clipped: a run of then is still one."""
        plain = {**self.plain(), "method": "fd"}
        later = set() if self.logits_weight else {"logits_weight", "channel_temperature"}
        if self.clip_adapters or not self.rebuilds:
            later.add("clip_adapters")
        return {key: value for key, value in plain.items() if key not in later}

    def build(self, pair: PairShapes) -> "MGD":
        from afdcd.distillers.mgd import MGD

        return MGD(self, pair)
