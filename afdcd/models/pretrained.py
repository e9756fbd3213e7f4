"""Weights an encoder starts from: a file, or the ImageNet weights that timm publishes."""

from collections.abc import Callable
from pathlib import Path

import timm
from huggingface_hub import hf_hub_download
from torch import Tensor, nn

from afdcd.config import UserError
from afdcd.models.config import IMAGENET, TIMM_PREFIX
from afdcd.models.names import official_backbone_name
from afdcd.models.tensors import assign, read_tensors


def load_pretrained(encoder: nn.Module, name: str, source: str) -> None:
    """Fill `encoder` from `source`: "imagenet" (timm encoders) or the path of a .safetensors file.

    A file may spell its keys as the published `*-imagenet` files do, or as timm does; what it holds
    beyond the encoder (a classifier) is ignored.

    Raises:
        UserError: weights that cannot be fetched, or a file that lacks some of the encoder's.
    """
    path = fetch_imagenet(name) if source == IMAGENET else Path(source)
    tensors, _ = read_tensors(path)
    # Checkpoints older than PyTorch 0.4.1 do not count batches; BN with momentum never reads it.
    counters = {k: v for k, v in encoder.state_dict().items() if k.endswith("num_batches_tracked")}
    assign(encoder, counters | encoder_in_our_spelling(encoder, tensors), path)


def fetch_imagenet(name: str) -> Path:
    """The local copy of timm's published weights for encoder `name`, downloaded once.

    Raises:
        UserError: timm publishes none, or they cannot be reached.
    """
    published = timm.get_pretrained_cfg(name.removeprefix(TIMM_PREFIX))
    if published is None or not published.hf_hub_id:
        raise UserError(
            f"pretrained: timm publishes no weights for {name}; give a .safetensors file"
        )
    try:
        return Path(hf_hub_download(published.hf_hub_id, "model.safetensors"))
    except Exception as error:  # the client raises its own, its HTTP library's and OSError
        raise UserError(
            f"pretrained: cannot fetch {published.hf_hub_id} ({type(error).__name__}); download "
            "its model.safetensors where there is a network and give that path"
        ) from None


def encoder_in_our_spelling(encoder: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `encoder` under its own keys, in whichever spelling finds more of them."""
    spellings: tuple[Callable[[str], str], ...] = (official_backbone_name, _timm_name)
    found = []
    for spelling in spellings:
        given = {_flat(key): value for key, value in tensors.items()}
        names = {key: _flat(spelling(key)) for key in encoder.state_dict()}
        found.append({key: given[name] for key, name in names.items() if name in given})
    return max(found, key=len)


def _timm_name(key: str) -> str:
    return key.removeprefix("net.")


def _flat(key: str) -> str:
    # timm's feature extractors rename stages.0 to stages_0.
    return key.replace(".", "_")
