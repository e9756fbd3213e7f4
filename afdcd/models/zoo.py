"""The networks by name: any head on any encoder, at output stride 8."""

from typing import Literal, Self

import pydantic
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from afdcd.config import FrozenConfig
from afdcd.models.encoders import (
    OUTPUT_STRIDE,
    PAPER_ENCODERS,
    TIMM_PREFIX,
    build_encoder,
    check_encoder,
)
from afdcd.models.heads import AuxiliaryHead, DeepLabV3Head, PSPHead
from afdcd.models.names import HeadName
from afdcd.models.outputs import SegOutput, Tap
from afdcd.models.pretrained import IMAGENET, load_pretrained

# Widths of winycg/CIRKD@2d8ad0f and OSVAI/Af-DCD@5b086a7 (CIRKDv2 made the ResNets' 512).
PAPER_HEAD_WIDTHS: dict[tuple[HeadName, str], int] = {
    ("deeplabv3", "resnet18"): 128,
    ("deeplabv3", "resnet101"): 256,
    ("deeplabv3", "mobilenetv2"): 128,
    ("pspnet", "resnet18"): 128,
    ("pspnet", "resnet101"): 512,
    ("pspnet", "mobilenetv2"): 128,
}


class ModelConfig(FrozenConfig):
    """One segmentation network.

    Attributes:
        encoder: resnet18, resnet101, mobilenetv2 (the paper's), or timm:<name>.
        aux: an auxiliary head on c3 while training; None: yes, except for mobilenetv2.
        head_width: channels before the classifier; None: the paper's, and for a timm encoder a
            quarter of its c4, rounded up to a multiple of 8, within 32..256.
        pretrained: None (random weights), "imagenet" (timm encoders; needs the network), or the
            path of a .safetensors file with the encoder's weights.
    """

    head: HeadName
    encoder: str
    aux: bool | None = None
    head_width: PositiveInt | None = None
    pretrained: Literal["imagenet"] | str | None = None

    @pydantic.field_validator("encoder")
    @classmethod
    def _encoder_exists(cls, encoder: str) -> str:
        check_encoder(encoder)
        return encoder

    @pydantic.model_validator(mode="after")
    def _weights_exist(self) -> Self:
        if self.pretrained == IMAGENET and self.encoder in PAPER_ENCODERS:
            raise ValueError(
                f"no ImageNet weights can be fetched for {self.encoder}; give pretrained the path "
                f"of a .safetensors file, or choose a {TIMM_PREFIX}<name> encoder"
            )
        return self

    @property
    def name(self) -> str:
        """E.g. `deeplabv3-resnet18`: fit for file names and for the registry."""
        return f"{self.head}-{self.encoder.removeprefix(TIMM_PREFIX)}"

    def build(self, classes: int) -> "SegmentationNetwork":
        """The network for `classes` classes.

        Raises:
            UserError: an encoder that cannot be dilated, or pretrained weights that do not load.
        """
        network = SegmentationNetwork(self, classes)
        if self.pretrained is not None:
            load_pretrained(network.encoder, self.encoder, self.pretrained)
        return network


class SegmentationNetwork(nn.Module):
    """Encoder, head and, while training, auxiliary head.

    Logits stay at output stride 8: whoever needs the image's resolution resizes them (bilinear,
    align_corners=True, as the paper does). Batch normalisation over the pooled ASPP branch needs
    two images per batch while training.
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.classes = classes
        self.encoder = build_encoder(config.encoder)
        c3, c4 = self.encoder.channels
        width = config.head_width or _head_width(config, c4)
        head = DeepLabV3Head if config.head == "deeplabv3" else PSPHead
        self.head = head(c4, width, classes)
        has_aux = config.encoder != "mobilenetv2" if config.aux is None else config.aux
        self.aux = AuxiliaryHead(c3, max(16, c3 // 4), classes) if has_aux else None
        self.taps = {"encoder": Tap(c4, OUTPUT_STRIDE), "head": Tap(width, OUTPUT_STRIDE)}

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> SegOutput:
        c3, c4 = self.encoder(images)
        feature, logits = self.head(c4)
        aux = self.aux(c3) if self.aux is not None and self.training else None
        return SegOutput(logits, aux, {"encoder": c4, "head": feature})


def _head_width(config: ModelConfig, c4: int) -> int:
    quarter = -(-c4 // 32) * 8
    return PAPER_HEAD_WIDTHS.get((config.head, config.encoder), min(256, max(32, quarter)))
