"""The settings of MasKD, masked distillation with receptive tokens (Huang et al. 2023, ICLR)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from afdcd.distillers.configs.method import MethodConfig, Prerequisite
from afdcd.distillers.configs.presets import Preset
from afdcd.distillers.configs.shapes import AUX, LOGITS, Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.maskd import MasKD, MasKDTokens

PresetName = Literal[
    "cityscapes-deeplabv3-resnet18",
    "cityscapes-deeplabv3-mobilenetv2",
    "cityscapes-pspnet-resnet18",
]
_CODE: dict[str, Any] = {
    "weight": 1.0,
    "aux_weight": 0.4,
    "tokens": 8,
    "token_iterations": 10_000,
    "token_batch": 16,
}


def _script(name: str, **other: Any) -> Preset:
    source = f"hunto/MasKD@b5af34f segmentation/train_scripts/train_maskd/{name}.sh"
    return Preset(source, {**_CODE, **other})


class MasKDTokensConfig(MethodConfig):
    """Stage 1: tokens whose masks keep of the teacher's logits what its labels need.

    Attributes:
        count: of tokens.
        diversity_weight: of how alike the masks are.
    """

    PREPARES: ClassVar[bool] = True

    method: Literal["maskd_tokens"] = "maskd_tokens"
    count: PositiveInt = 8
    diversity_weight: NonNegativeFloat = 1.0

    @property
    def tasks(self) -> frozenset[str] | None:
        return frozenset({"segmentation"})

    @property
    def couples_images(self) -> bool:
        return True  # what an image adds is divided by the labelled pixels of all

    @property
    def needs(self) -> Needs:
        return Needs(teacher=frozenset({LOGITS}))

    def build(self, pair: PairShapes) -> "MasKDTokens":
        from afdcd.distillers.maskd import MasKDTokens

        return MasKDTokens(self, pair)


class MasKDConfig(MethodConfig):
    """Stage 2: the student's logits follow the teacher's where a token looks.

    The published recipe has weight decay 5e-4 (MobileNetV2: 2e-4) and a learning rate that ends at
    1e-4; both are the trial's to set, not the method's.

    Attributes:
        aux_weight: of the same for the auxiliary heads' logits, of both networks.
        tokens, token_iterations, token_batch: of stage 1, a run of its own for each teacher.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = {
        "cityscapes-deeplabv3-resnet18": _script("deeplabv3_res18"),
        "cityscapes-deeplabv3-mobilenetv2": _script("deeplabv3_mbv2", aux_weight=0.0),
        "cityscapes-pspnet-resnet18": _script("pspnet_res18"),
    }
    WITHOUT: ClassVar[Mapping[str, str]] = {AUX: "aux_weight to 0"}
    WHOLE: ClassVar[frozenset[str]] = frozenset({"tokens", "token_iterations", "token_batch"})

    method: Literal["maskd"] = "maskd"
    preset: PresetName | None = Field(default=None, exclude=True)
    weight: NonNegativeFloat = 1.0
    aux_weight: NonNegativeFloat = 0.4
    tokens: PositiveInt = 8
    token_iterations: PositiveInt = 10_000
    token_batch: PositiveInt = 16

    @property
    def tasks(self) -> frozenset[str] | None:
        return frozenset({"segmentation"})

    @property
    def needs(self) -> Needs:
        main = Needs.of_both(LOGITS) if self.weight else Needs()
        return main | (Needs.of_both(AUX) if self.aux_weight else Needs())

    @property
    def prerequisites(self) -> dict[str, Prerequisite]:
        if not (self.weight or self.aux_weight):
            return {}
        recipe = {
            "iterations": self.token_iterations,
            "validate_every": self.token_iterations,
            "batch": self.token_batch,
            "lr": 0.1,
            "weight_decay": 1e-3,
            "distiller_clip": 1e6,  # there is none
        }
        return {"tokens": Prerequisite(MasKDTokensConfig(count=self.tokens), recipe)}

    def build(self, pair: PairShapes) -> "MasKD":
        from afdcd.distillers.maskd import MasKD

        return MasKD(self, pair)
