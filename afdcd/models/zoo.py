"""The networks by name: any head on any encoder that it can read."""

from collections.abc import Sequence
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from afdcd.models.config import HeadName, ModelConfig
from afdcd.models.encoders import build_encoder
from afdcd.models.heads import AuxiliaryHead, DeepLabV3Head, PSPHead
from afdcd.models.mlp_head import MLPHead
from afdcd.models.outputs import Output
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


MLP_WIDTH = 256  # SegFormer's from its smallest encoder on; 768 from B2 on
NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)

Stage = TypeVar("Stage", Tap, Tensor)


class SegmentationNetwork(nn.Module):
    """Encoder, head and, while training, auxiliary head.

    Logits stay at the stride of `taps["logits"]`: whoever needs the image's resolution resizes them,
    bilinearly by the rule of `config.align_corners`. Batch normalisation over the pooled ASPP branch
    needs two images per batch while training.

    Attributes:
        normalisation: the one of afdcd.data that its images go through; None if nothing has said so.
        taps: every map that a method may read, known without a forward pass: the encoder's stages
            ("c3" and, as the last one, "encoder"; of a pyramid from "c1" on), "head", "logits", "aux".
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.classes = classes
        self.normalisation: str | None = None
        self.encoder = build_encoder(config.encoder, pyramid=config.is_pyramid)
        width = config.head_width or _head_width(config, self.encoder.taps[-1].channels)
        self.head = _head(config, [tap.channels for tap in self.encoder.taps], width, classes)
        c3 = self.encoder.taps[-2]
        self.aux = (
            AuxiliaryHead(c3.channels, max(16, c3.channels // 4), classes)
            if config.has_aux
            else None
        )
        stride = self.encoder.taps[0].stride
        self.taps = stages_by_name(self.encoder.taps)
        self.taps |= {"head": Tap(width, stride), "logits": Tap(classes, stride)}
        if self.aux is not None:
            self.taps["aux"] = Tap(classes, c3.stride)

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> Output:
        stages = self.encoder(images)
        feature, logits = self.head(stages if self.config.is_pyramid else stages[-1])
        aux = self.aux(stages[-2]) if self.aux is not None and self.training else None
        features = stages_by_name(stages) | {"head": feature}
        return Output(logits, aux, features, self.config.align_corners)

    def parameter_groups(
        self, *, head_lr_scale: float = 1.0, decay_norms: bool = True
    ) -> dict[nn.Parameter, tuple[float, bool]]:
        """Of each parameter what the learning rate is multiplied by, and whether it decays.

        Args:
            head_lr_scale: for everything but the encoder.
            decay_norms: whether weights and biases of normalisations decay.
        """
        ours = set(self.encoder.parameters())
        norms = {p for m in self.modules() if isinstance(m, NORMS) for p in m.parameters(False)}
        return {
            p: (1.0 if p in ours else head_lr_scale, decay_norms or p not in norms)
            for p in self.parameters()
        }


def stages_by_name(stages: Sequence[Stage]) -> dict[str, Stage]:
    """An encoder's stages as methods call them: c1, c2, c3 up to the last one, "encoder"."""
    names = (*(f"c{number}" for number in range(5 - len(stages), 4)), "encoder")
    return dict(zip(names, stages, strict=True))


def _head(config: ModelConfig, inputs: list[int], width: int, classes: int) -> nn.Module:
    if config.head == "mlp":
        return MLPHead(inputs, width, classes)
    return (DeepLabV3Head if config.head == "deeplabv3" else PSPHead)(inputs[-1], width, classes)


def _head_width(config: ModelConfig, c4: int) -> int:
    if config.is_pyramid:
        return MLP_WIDTH
    quarter = -(-c4 // 32) * 8
    return PAPER_HEAD_WIDTHS.get((config.head, config.encoder), min(256, max(32, quarter)))
