"""The networks as a search space names them. Nothing here imports torch."""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import PositiveInt, model_validator

from afdcd.config import FrozenConfig, Switch
from afdcd.paths import Location

if TYPE_CHECKING:
    from afdcd.models.zoo import SegmentationNetwork

HeadName = Literal["deeplabv3", "pspnet", "mlp"]
PAPER_ENCODERS = ("resnet18", "resnet101", "mobilenetv2")
TIMM_PREFIX = "timm:"
OUTPUT_STRIDE = 8
IMAGENET = "imagenet"


class ModelConfig(FrozenConfig):
    """One segmentation network.

    Attributes:
        head: deeplabv3 and pspnet read the last stage of an encoder dilated to stride 8; mlp
            (SegFormer's) reads every stage of a timm encoder at its own stride, e.g. 4 to 32.
        encoder: resnet18, resnet101, mobilenetv2 (the paper's), or timm:<name>.
        aux: an auxiliary head on c3 while training; None: yes, except for mobilenetv2 and under mlp.
        head_width: channels before the classifier; None: the paper's, 256 under mlp, and for a timm
            encoder a quarter of its c4, rounded up to a multiple of 8, within 32..256.
        pretrained: None (random weights), "imagenet" (timm encoders; needs the network), or the
            path of a .safetensors file with the encoder's weights.
    """

    head: HeadName
    encoder: str
    aux: Switch | None = None
    head_width: PositiveInt | None = None
    pretrained: Literal["imagenet"] | Location | None = None

    @model_validator(mode="after")
    def _weights_exist(self) -> Self:
        if self.pretrained == IMAGENET and self.encoder in PAPER_ENCODERS:
            raise ValueError(
                f"no ImageNet weights can be fetched for {self.encoder}; give pretrained the path "
                f"of a .safetensors file, or choose a {TIMM_PREFIX}<name> encoder"
            )
        return self

    @model_validator(mode="after")
    def _has_stages(self) -> Self:
        if self.is_pyramid and self.encoder in PAPER_ENCODERS:
            raise ValueError(
                f"head mlp reads encoders with a stride for each stage; {self.encoder} is dilated: "
                f"choose a {TIMM_PREFIX}<name> encoder, e.g. {TIMM_PREFIX}pvt_v2_b0"
            )
        return self

    @property
    def is_pyramid(self) -> bool:
        """Whether the head reads all stages of the encoder, each at a stride of its own."""
        return self.head == "mlp"

    @property
    def align_corners(self) -> bool:
        """How its logits are resized, in training and use: the rule of the code that it follows."""
        return not self.is_pyramid

    @property
    def name(self) -> str:
        """E.g. `deeplabv3-resnet18`: fit for file names and for the registry."""
        return f"{self.head}-{self.encoder.removeprefix(TIMM_PREFIX)}"

    @property
    def has_aux(self) -> bool:
        if self.aux is None:
            return self.encoder != "mobilenetv2" and not self.is_pyramid
        return self.aux

    def build(self, classes: int) -> "SegmentationNetwork":
        """The network for `classes` classes.

        Raises:
            UserError: an encoder that cannot be dilated, or pretrained weights that do not load.
        """
        from afdcd.models.pretrained import load_pretrained
        from afdcd.models.zoo import SegmentationNetwork

        network = SegmentationNetwork(self, classes)
        if self.pretrained is not None:
            load_pretrained(network.encoder, self.encoder, self.pretrained)
        return network
