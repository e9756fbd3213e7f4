"""Other programs' networks are called by their names."""

import pytest
import torch
import torchvision
from torch import Tensor

from afdcd.models.checkpoints.families import family

SEGMENTATION = torchvision.models.segmentation


def _state(name: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        built = getattr(SEGMENTATION, name)(weights=None, weights_backbone=None)
    return built.state_dict()


@pytest.mark.parametrize(
    "name",
    [
        "deeplabv3_resnet50",
        "deeplabv3_resnet101",
        "fcn_resnet50",
        "deeplabv3_mobilenet_v3_large",
        "lraspp_mobilenet_v3_large",
    ],
)
def test_networks_of_torchvision(name: str) -> None:
    assert family(_state(name)) == f"{name} of torchvision"


def _keys(*names: str, **shapes: tuple[int, ...]) -> dict[str, Tensor]:
    shaped = {key.replace("__", "."): torch.empty(shape) for key, shape in shapes.items()}
    return {name: torch.empty(1) for name in names} | shaped


def _mit(depths: tuple[int, ...], width: int, prefix: str = "") -> dict[str, Tensor]:
    blocks = [
        f"{prefix}block{s}.{i}.norm1.weight" for s, n in enumerate(depths, 1) for i in range(n)
    ]
    return _keys(*blocks) | {f"{prefix}patch_embed1.proj.weight": torch.empty(width, 3, 7, 7)}


OTHERS = {
    "SegFormer B0 of CIRKD and Af-DCD, 19 classes": _mit((2, 2, 2, 2), 32)
    | _keys(linear_pred__weight=(19, 256, 1, 1)),
    "SegFormer B4 of CIRKD and Af-DCD, 150 classes": _mit((3, 8, 27, 3), 64)
    | _keys(linear_pred__weight=(150, 768, 1, 1)),
    "SegFormer B1 of NVlabs": _mit((2, 2, 2, 2), 64, "backbone."),
    "MiT-B5, an encoder of SegFormer alone": _mit((3, 6, 40, 3), 64),
    "SegFormer of transformers": _keys(
        "segformer.encoder.block.0.0.x", "decode_head.classifier.bias"
    ),
    "a mask classifier (Mask2Former, MaskFormer) of transformers": _keys(
        "model.pixel_level_module.encoder.x"
    ),
    "DeepLabV3 of mmsegmentation, 19 classes": _keys(
        "decode_head.aspp_modules.0.conv.weight", decode_head__conv_seg__weight=(19, 512, 1, 1)
    ),
    "a network of segmentation-models-pytorch, 3 classes": _keys(
        "encoder.conv1.weight", "decoder.x", segmentation_head__0__weight=(3, 16, 3, 3)
    ),
    "a network of afdcd on an encoder of timm; say which: --encoder timm:NAME": _keys(
        "encoder.net.conv_stem.weight", "head.psp.branches.0.0.weight"
    ),
    "a classifier of images, 1000 classes; if timm has it, say which: --encoder timm:NAME": _keys(
        "stem.weight", head__fc__weight=(1000, 64)
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_networks_of_others(name: str) -> None:
    assert family(OTHERS[name]) == name


def test_lightly_train_says_it_beside_the_weights() -> None:
    names = ["model_class_path", "model_init_args"]
    assert family(_keys("backbone.x"), names) == "a network of lightly-train"


def test_what_nobody_knows_is_not_named() -> None:
    assert family(_keys("a.weight", "decode_head.x", "encoder.y")) is None
