"""The settings of CIRKD, cross-image relational distillation (Yang et al. 2022, CVPR)."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from afdcd.config import Switch
from afdcd.distillers.configs.cost import Cost, likeness, pixelwise
from afdcd.distillers.configs.method import MethodConfig
from afdcd.distillers.configs.presets import Preset
from afdcd.distillers.configs.shapes import HEAD, LOGITS, Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.cirkd import CIRKD

PresetName = Literal[
    "cityscapes-deeplabv3-resnet18",
    "cityscapes-deeplabv3-mobilenetv2",
    "cityscapes-pspnet-resnet18",
    "cityscapes-segformer-b0",
    "voc-deeplabv3-resnet18",
    "voc-pspnet-resnet18",
    "camvid-deeplabv3-resnet18",
    "camvid-pspnet-resnet18",
    "ade20k-deeplabv3-resnet18",
    "coco_stuff-deeplabv3-resnet18",
]
_CODE: dict[str, Any] = {
    "official": True,
    "kd_weight": 1.0,
    "temperature": 1.0,
    "minibatch_weight": 1.0,
    "pixel_weight": 0.1,
    "region_weight": 0.1,
    "tau": 0.1,
    "memory_temperature": 1.0,
    "group": 2,
    "pool": 1,
    "pixel_memory": 20_000,
    "region_memory": 2000,
    "pixel_contrast": 4096,
    "region_contrast": 1024,
    "clip_adapters": False,
}


def _script(name: str, **other: Any) -> Preset:
    source = f"winycg/CIRKD@2d8ad0f train_scripts/train_cirkd/{name}.sh, 8 processes of 2 images"
    return Preset(source, {**_CODE, **other})


_VOC = {"pixel_weight": 0.01, "region_weight": 0.01}


class CIRKDConfig(MethodConfig):
    """Defaults are the published settings.

    Attributes:
        official: the queue of pixels is filled and wrapped as in winycg/CIRKD@2d8ad0f: with the
            first places of an image instead of the class's, and with gaps. See docs/methods.md.
        minibatch_weight: of the likeness of pixels among the images of a group.
        pixel_weight, region_weight: of what pixels are like among remembered ones, and class means.
        tau: temperature of the cosines.
        memory_temperature: softens both networks' likeness to what is remembered further.
        group: images that are compared with each other, neighbours in the batch; in the published
            runs those of one process.
        pool: side of the cells that the mini-batch term averages first; 2 in SegFormer's script.
        pixel_memory, region_memory: remembered vectors for each class.
        pixel_contrast, region_contrast: of them all, those that a step compares with.
        clip_adapters: whether `training.distiller_clip` bounds the gradient of the head through which the
            student is compared; officially nothing does.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = {
        "cityscapes-deeplabv3-resnet18": _script("citys/deeplabv3_res18"),
        "cityscapes-deeplabv3-mobilenetv2": _script("citys/deeplabv3_mbv2"),
        "cityscapes-pspnet-resnet18": _script("citys/pspnet_res18"),
        "cityscapes-segformer-b0": _script("citys/segformer_mit_b0", pixel_memory=2000, pool=2),
        "voc-deeplabv3-resnet18": _script("voc/deeplabv3_res18", **_VOC),
        "voc-pspnet-resnet18": _script("voc/pspnet_res18", **_VOC),
        "camvid-deeplabv3-resnet18": _script("camvid/deeplabv3_res18"),
        "camvid-pspnet-resnet18": _script("camvid/pspnet_res18"),
        "ade20k-deeplabv3-resnet18": _script("ade20k/deeplabv3_res18"),
        "coco_stuff-deeplabv3-resnet18": _script("coco_stuff_164k/deeplabv3_res18"),
    }

    SIZES: ClassVar[tuple[str, ...]] = ("pixel_memory", "region_memory")

    method: Literal["cirkd"] = "cirkd"
    preset: PresetName | None = Field(default=None, exclude=True)
    official: Switch = False
    kd_weight: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 1.0
    minibatch_weight: NonNegativeFloat = 1.0
    pixel_weight: NonNegativeFloat = 0.1
    region_weight: NonNegativeFloat = 0.1
    tau: PositiveFloat = 0.1
    memory_temperature: PositiveFloat = 1.0
    group: PositiveInt = 2
    pool: Literal[1, 2] = 1
    pixel_memory: PositiveInt = 20_000
    region_memory: PositiveInt = 2000
    pixel_contrast: PositiveInt = 4096
    region_contrast: PositiveInt = 1024
    clip_adapters: Switch = True

    @property
    def remembers(self) -> bool:
        return bool(self.pixel_weight or self.region_weight)

    @property
    def couples_images(self) -> bool:
        return bool(self.minibatch_weight or self.remembers)

    @property
    def tasks(self) -> frozenset[str] | None:
        return frozenset({"segmentation"})

    @property
    def needs(self) -> Needs:
        logits = Needs.of_both(LOGITS) if self.kd_weight else Needs()
        return logits | (Needs.of_both(HEAD) if self.couples_images else Needs())

    def notes(self, pair: PairShapes, crop: tuple[int, int]) -> list[str]:
        """What is remembered takes memory on every worker, and room in every checkpoint."""
        if not self.remembers:
            return []
        vectors = pair.classes * (self.pixel_memory + self.region_memory)
        size = 4 * vectors * pair.channels(HEAD)[1] / 1e9
        if size < 0.1:
            return []
        return [
            f"cirkd: what is remembered takes {size:.1f} GB on every worker and in every checkpoint; "
            "pixel_memory and region_memory set it"
        ]

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        """It grows with the square of the map's area, and with `group`."""
        found, (ours, theirs) = Cost(), pair.channels(HEAD) if self.couples_images else (0, 0)
        places = math.prod(pair.grid(HEAD, crop)) if self.couples_images else 0
        if self.minibatch_weight:
            nodes = math.ceil(places / self.pool**2)
            one = likeness(nodes, nodes, ours, theirs)
            found += Cost(self.group * one.gmacs, self.group * one.kept)
        if self.remembers:
            columns = self.pixel_contrast + self.region_contrast + 2 * pair.classes
            head = 3 * places * (ours + theirs) * theirs / 1e9
            found += likeness(places, columns, theirs, theirs, learnt=1) + Cost(head)
            found += pixelwise(places, theirs)
        return found

    def identity(self) -> dict[str, Any]:
        """Of a head that is not clipped it says so; every one was, once."""
        found = super().identity()
        if self.clip_adapters or not self.remembers:
            del found["clip_adapters"]
        return found

    def build(self, pair: PairShapes) -> "CIRKD":
        from afdcd.distillers.cirkd import CIRKD

        return CIRKD(self, pair)
