"""Which network of afdcd a state dict is of, and what differs from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from afdcd.config import Source, validate
from afdcd.models.checkpoints.compared import Compared, compare
from afdcd.models.config import PAPER_ENCODERS, TIMM_PREFIX, HeadName, ModelConfig
from afdcd.models.encoders import build_encoder
from afdcd.models.pretrained import encoder_in_our_spelling
from afdcd.models.weights import in_our_spelling
from afdcd.yaml_text import quoted

_HEADS: tuple[tuple[str, HeadName], ...] = (
    ("head.aspp.", "deeplabv3"),
    ("head.psp.", "pspnet"),
    ("head.lateral.", "mlp"),
)
_CLASSIFIERS = ("head.classifier.weight", "head.block.4.weight")


@dataclass(frozen=True)
class Match:
    """A network, or the encoder of one, and how far a state dict agrees with it.

    Attributes:
        name: for people.
        keys: beside those of the network.
        lines: what a search space says to use the file, if all agrees.
    """

    name: str
    keys: Compared
    lines: tuple[str, ...]


def match(tensors: Mapping[str, Tensor], weights: str, encoder: str | None = None) -> Match | None:
    """The network of afdcd that these are of or nearest to; None if nothing suggests one.

    Args:
        weights: how the lines for a search space call the file.
        encoder: its name, where the keys do not say it (timm's).

    Raises:
        UserError: `encoder` is no encoder.
    """
    if any(key.startswith(("pretrained.", "encoder.")) for key in tensors):
        return _whole(tensors, weights, encoder)
    return _backbone(tensors, weights, encoder)


def _whole(tensors: Mapping[str, Tensor], weights: str, encoder: str | None) -> Match | None:
    name = encoder or _encoder_name(tensors)
    head = next((h for start, h in _HEADS if any(k.startswith(start) for k in tensors)), None)
    if name is None or (head == "mlp" and name in PAPER_ENCODERS and not encoder):
        return None
    has_aux = any(key.startswith(("auxlayer.", "aux.")) for key in tensors)
    classes, width = _last_layer(tensors)
    model = _model(head or "deeplabv3", name, has_aux, width)
    with torch.device("meta"):
        network = model.build(classes)
    official = any(key.startswith("pretrained.") for key in tensors)
    said = (
        f"{model.head} on {name}, {classes} classes, head {network.taps['head'].channels} wide, "
        f"{'with' if has_aux else 'without'} auxiliary head{' (CIRKD, Af-DCD)' if official else ''}"
    )
    keys = compare(network.state_dict(), in_our_spelling(network, tensors))
    return Match(said, keys, _as_teacher(model, weights, official))


def _last_layer(tensors: Mapping[str, Tensor]) -> tuple[int, int | None]:
    """Classes, and channels before the classifier; of a file without one 1, and the usual."""
    found = next((tensors[key] for key in _CLASSIFIERS if key in tensors), None)
    if found is None or found.dim() != 4 or not all(0 < n < 1 << 16 for n in found.shape[:2]):
        return 1, None
    return found.shape[0], found.shape[1]


def _model(head: HeadName, encoder: str, has_aux: bool, width: int | None) -> ModelConfig:
    """With no more settings than differ from the defaults: an equal network is to look equal."""
    values = {"head": head, "encoder": encoder}
    model = validate(ModelConfig, values, Source(name=f"--encoder {encoder}"))
    with torch.device("meta"):
        usual = model.build(1).taps["head"].channels
    model = model if model.has_aux == has_aux else model.updated(aux=has_aux)
    return model if width in (None, usual) else model.updated(head_width=width)


def _encoder_name(tensors: Mapping[str, Tensor]) -> str | None:
    """The paper's encoder whose blocks these are, or the nearest."""
    if any(re.match(r"(pretrained\.net|encoder)\.features\.", key) for key in tensors):
        return "mobilenetv2"
    if any(re.match(r"(pretrained|encoder)\.layer4\.", key) for key in tensors):
        deep = any(re.search(r"\.layer1\.0\.conv3\.", key) for key in tensors)
        return "resnet101" if deep else "resnet18"
    return None


def _backbone(tensors: Mapping[str, Tensor], weights: str, encoder: str | None) -> Match | None:
    best = None
    for name in [encoder] if encoder else _backbone_names(tensors):
        with torch.device("meta"):
            built = build_encoder(name)
        # Its loader fills in the counters, and ignores what a file has beside the encoder.
        ours = {k: v for k, v in built.state_dict().items() if not k.endswith("batches_tracked")}
        given = encoder_in_our_spelling(built, dict(tensors))
        found = compare(ours, {key: value for key, value in given.items() if key in ours})
        one = Match(f"the encoder {name} alone", found, _as_start(name, weights))
        if best is None or _rank(one) > _rank(best):
            best = one
    return best if best and best.keys.shared else None


def _rank(found: Match) -> tuple[bool, int]:
    return found.keys.exact, found.keys.shared


def _backbone_names(tensors: Mapping[str, Tensor]) -> list[str]:
    blocks = {m[1] for key in tensors if (m := re.match(r"layer3\.(\d+)\.", key))}
    deep = any(key.startswith("layer1.0.conv3.") for key in tensors)
    plain = {(2, False): 18, (6, False): 34, (6, True): 50, (23, True): 101, (36, True): 152}
    names = [name for name in PAPER_ENCODERS if blocks or name == "mobilenetv2"]
    if layers := plain.get((len(blocks), deep)):
        names.append(f"{TIMM_PREFIX}resnet{layers}")
    looks_known = blocks or any(re.match(r"(net\.)?features\.", key) for key in tensors)
    return names if looks_known else []


def _as_teacher(model: ModelConfig, weights: str, official: bool) -> tuple[str, ...]:
    said = {key: value for key, value in model.plain().items() if value is not None}
    lines = (
        "pair:",
        "  teacher:",
        f"    weights: {quoted(weights)}",
        f"    model: {{{', '.join(f'{key}: {_spelled(value)}' for key, value in said.items())}}}",
    )
    # The file does not say it; the code that published these networks fed them so.
    return (*lines, "data: {normalisation: caffe}") if official else lines


def _as_start(encoder: str, weights: str) -> tuple[str, ...]:
    model = f"head: deeplabv3, encoder: {_spelled(encoder)}, pretrained: {quoted(weights)}"
    return ("pair:", f"  student: {{{model}}}")


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(str(value)) if ":" in str(value) else str(value)
