"""Networks of other programs, recognised by the names and shapes in a state dict."""

import re
from collections.abc import Callable, Collection, Mapping

from torch import Tensor

State = Mapping[str, Tensor]

_RESNETS = {(6, True): "50", (23, True): "101"}
# Depths of SegFormer's encoders, arXiv:2105.15203 table 6; B0 and B1 differ in width.
_MIT = {(2, 2, 2, 2): "B1", (3, 4, 6, 3): "B2", (3, 4, 18, 3): "B3", (3, 8, 27, 3): "B4"}
_MIT |= {(3, 6, 40, 3): "B5"}


def family(tensors: State, beside: Collection[str] = ()) -> str | None:
    """What another program calls this network, as far as its weights say it; None: not known.

    Args:
        beside: the names of what lay beside the weights.
    """
    if "model_class_path" in beside:
        return "a network of lightly-train"
    return next((said for look in _LOOKS if (said := look(tensors))), None)


def _torchvision(tensors: State) -> str | None:
    if "classifier.cbr.0.weight" in tensors:
        return "lraspp_mobilenet_v3_large of torchvision"
    atrous = _any(tensors, r"classifier\.0\.convs\.")
    if atrous and "backbone.0.0.weight" in tensors:
        return "deeplabv3_mobilenet_v3_large of torchvision"
    if not (_any(tensors, r"backbone\.layer4\.") and "classifier.4.weight" in tensors):
        return None
    size = _resnet(tensors, "backbone.")
    return f"{'deeplabv3' if atrous else 'fcn'}_resnet{size} of torchvision"


def _smp(tensors: State) -> str | None:
    parts = (r"encoder\.", r"decoder\.", r"segmentation_head\.0\.weight$")
    if not all(_any(tensors, part) for part in parts):
        return None
    classes = tensors["segmentation_head.0.weight"].shape[0]
    return f"a network of segmentation-models-pytorch, {classes} classes"


def _segformer(tensors: State) -> str | None:
    """One head spells it `linear_pred`: CIRKD's and Af-DCD's beside the encoder, NVlabs' under names."""
    if "patch_embed1.proj.weight" in tensors and "linear_pred.weight" in tensors:
        return f"SegFormer {_mit(tensors, '')} of CIRKD and Af-DCD{_classes(tensors)}"
    if "backbone.patch_embed1.proj.weight" in tensors:
        return f"SegFormer {_mit(tensors, 'backbone.')} of NVlabs"
    if "patch_embed1.proj.weight" in tensors:
        return f"MiT-{_mit(tensors, '')}, an encoder of SegFormer alone"
    return None


def _transformers(tensors: State) -> str | None:
    if _any(tensors, r"segformer\.(encoder|stages)\."):
        return "SegFormer of transformers"
    if _any(tensors, r"(model\.)?(pixel_level_module|transformer_module)\."):
        return "a mask classifier (Mask2Former, MaskFormer) of transformers"
    if _any(tensors, r"decode_head\.psp_modules\.") and "decode_head.classifier.weight" in tensors:
        return "UPerNet of transformers"
    return None


def _mmseg(tensors: State) -> str | None:
    if "decode_head.conv_seg.weight" not in tensors:
        return None
    heads = {"aspp_modules": "DeepLabV3", "psp_modules": "PSPNet", "convs": "SegFormer or FCN"}
    head = next(
        (name for part, name in heads.items() if _any(tensors, rf".*\.{part}\.")), "a network"
    )
    classes = tensors["decode_head.conv_seg.weight"].shape[0]
    return f"{head} of mmsegmentation, {classes} classes"


def _adapted(tensors: State) -> str | None:
    """afdcd's own, on an encoder of timm, which its keys do not name."""
    if _any(tensors, r"encoder\.net\.") and _any(tensors, r"head\.(aspp|psp|lateral)\."):
        return "a network of afdcd on an encoder of timm; say which: --encoder timm:NAME"
    return None


def _classifier(tensors: State) -> str | None:
    names = (
        "fc.weight",
        "classifier.weight",
        "head.weight",
        "head.fc.weight",
        "classifier.1.weight",
    )
    found = next((tensors[name] for name in names if name in tensors), None)
    if found is None or found.dim() not in (2, 4):
        return None
    classes = found.shape[0]
    return (
        f"a classifier of images, {classes} classes; if timm has it, say which: --encoder timm:NAME"
    )


_LOOKS: tuple[Callable[[State], str | None], ...] = (
    _torchvision, _smp, _segformer, _transformers, _mmseg, _adapted, _classifier,
)  # fmt: skip


def _any(tensors: State, pattern: str) -> bool:
    return any(re.match(pattern, key) for key in tensors)


def _resnet(tensors: State, prefix: str) -> str:
    pattern = re.compile(re.escape(f"{prefix}layer3.") + r"(\d+)\.")
    blocks = {found[1] for key in tensors if (found := pattern.match(key))}
    return _RESNETS.get((len(blocks), _any(tensors, re.escape(f"{prefix}layer1.0.conv3."))), "")


def _mit(tensors: State, prefix: str) -> str:
    def depth(stage: int) -> int:
        pattern = re.compile(re.escape(f"{prefix}block{stage}.") + r"(\d+)\.")
        return len({found[1] for key in tensors if (found := pattern.match(key))})

    size = _MIT.get((depth(1), depth(2), depth(3), depth(4)), "of its own size")
    narrow = tensors[f"{prefix}patch_embed1.proj.weight"].shape[:1] == (32,)
    return "B0" if size == "B1" and narrow else size


def _classes(tensors: State) -> str:
    return f", {tensors['linear_pred.weight'].shape[0]} classes"
