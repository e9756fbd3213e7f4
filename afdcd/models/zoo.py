"""The networks by name: any head on any encoder, at output stride 8."""

from jaxtyping import Float
from torch import Tensor, nn

from afdcd.models.config import OUTPUT_STRIDE, HeadName, ModelConfig
from afdcd.models.encoders import build_encoder
from afdcd.models.heads import AuxiliaryHead, DeepLabV3Head, PSPHead
from afdcd.models.outputs import SegOutput
from afdcd.models.taps import Tap

# Widths of winycg/CIRKD@2d8ad0f and OSVAI/Af-DCD@5b086a7 (CIRKDv2 made the ResNets' 512).
PAPER_HEAD_WIDTHS: dict[tuple[HeadName, str], int] = {
    ("deeplabv3", "resnet18"): 128,
    ("deeplabv3", "resnet101"): 256,
    ("deeplabv3", "mobilenetv2"): 128,
    ("pspnet", "resnet18"): 128,
    ("pspnet", "resnet101"): 512,
    ("pspnet", "mobilenetv2"): 128,
}


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
        self.aux = AuxiliaryHead(c3, max(16, c3 // 4), classes) if config.has_aux else None
        widths = {"encoder": c4, "head": width, "logits": classes}
        if self.aux is not None:
            widths["aux"] = classes
        self.taps = {name: Tap(channels, OUTPUT_STRIDE) for name, channels in widths.items()}

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> SegOutput:
        c3, c4 = self.encoder(images)
        feature, logits = self.head(c4)
        aux = self.aux(c3) if self.aux is not None and self.training else None
        return SegOutput(logits, aux, {"encoder": c4, "head": feature})


def _head_width(config: ModelConfig, c4: int) -> int:
    quarter = -(-c4 // 32) * 8
    return PAPER_HEAD_WIDTHS.get((config.head, config.encoder), min(256, max(32, quarter)))
