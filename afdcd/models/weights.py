"""Networks in files: ours with their description, and published checkpoints (converted)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import Tensor

from afdcd.config import FrozenConfig, Source, UserError, validate
from afdcd.models.config import ModelConfig
from afdcd.models.names import official_name
from afdcd.models.tensors import assign, read_metadata, read_tensors, write_tensors
from afdcd.models.zoo import SegmentationNetwork

METADATA_KEY = "afdcd"
UNSAID = ("task", "segmentation")  # of a card, as when there was no other


Byte = Annotated[int, Field(ge=0, le=255)]


class NetworkCard(FrozenConfig):
    """What must be known of a network to use it, and what was measured of it.

    Attributes:
        normalisation: the one of afdcd.data that its images went through.
        miou: 0..1, on `split`.
        fingerprint: of the trial that trained it.
        gmacs: of one image at the size the trial states.
    """

    model: ModelConfig
    task: str = "segmentation"
    dataset: str
    classes: tuple[str, ...]
    palette: tuple[tuple[Byte, Byte, Byte], ...]
    normalisation: str
    miou: float | None = None
    split: str | None = None
    fingerprint: str | None = None
    parameters: int | None = None
    gmacs: float | None = None


def save_network(path: str | Path, network: SegmentationNetwork, card: NetworkCard) -> None:
    """Write weights and card as one safetensors file; it appears whole or not at all.

    Raises:
        ValueError: the card names another number of classes than the network has.
    """
    if len(card.classes) != network.classes:
        raise ValueError(f"card names {len(card.classes)} classes, network has {network.classes}")
    path = Path(path)
    # The weights are in the file: whoever loads it needs no pretrained ones.
    card = card.updated(model=network.config.updated(pretrained=None))
    tensors = {key: value.contiguous() for key, value in network.state_dict().items()}
    said = {key: value for key, value in card.plain().items() if (key, value) != UNSAID}
    write_tensors(path, tensors, {METADATA_KEY: json.dumps(said)})


def load_network(path: str | Path) -> tuple[SegmentationNetwork, NetworkCard]:
    """The network of a file that `save_network` wrote, on the CPU in eval mode.

    Raises:
        UserError: one line: missing, pickled, cut short, without a card, or other weights.
    """
    path = Path(path)
    tensors, metadata = read_tensors(path)
    card = _card(metadata, path)
    try:
        network = card.model.build(len(card.classes))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    assign(network, tensors, path)
    network.normalisation = card.normalisation
    return network.eval(), card


def has_card(path: str | Path) -> bool:
    """Whether a safetensors file says which network it is of."""
    return METADATA_KEY in read_metadata(Path(path))


def load_weights(network: SegmentationNetwork, path: str | Path) -> None:
    """Fill `network` from a safetensors file with our keys, or those of CIRKD v1 and Af-DCD.

    A published .pth must have been converted to safetensors; the error for a .pth says how.

    Raises:
        UserError: one line: missing, pickled, cut short, another head width, or other weights.
    """
    path = Path(path)
    tensors, _ = read_tensors(path)
    ours = in_our_spelling(network, tensors)
    _check_head_width(network, ours, path)
    assign(network, ours, path)


def in_our_spelling(
    network: SegmentationNetwork, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """A state dict under the keys of `network`, if it has those of CIRKD v1 and Af-DCD."""
    if not any(key.startswith("pretrained.") for key in tensors):
        return dict(tensors)
    ours = {official_name(key, network.config.head): key for key in network.state_dict()}
    return {ours.get(key, key): value for key, value in tensors.items()}


def _check_head_width(
    network: SegmentationNetwork, tensors: Mapping[str, Tensor], path: Path
) -> None:
    """CIRKDv2's files differ from v1's in nothing but this, so it deserves its own message."""
    first = tensors.get("head.aspp.branches.0.0.weight")
    width = network.taps["head"].channels
    if first is not None and first.shape[0] != width:
        raise UserError(
            f"{path}: its head is {first.shape[0]} wide, the network's {width} (CIRKD v1 and "
            f"Af-DCD: 128 or 256; CIRKDv2: 512); set model.head_width to {first.shape[0]}"
        )


def _card(metadata: Mapping[str, str], path: Path) -> NetworkCard:
    if METADATA_KEY not in metadata:
        raise UserError(
            f"{path}: bare weights that do not say which network they are for; give the network as "
            "`model:` and this file as its weights"
        )
    try:
        values = json.loads(metadata[METADATA_KEY])
    except ValueError:
        raise UserError(f"{path}: its description is not JSON; export the network again") from None
    # A pretrained path in somebody's file is not ours to open.
    if isinstance(values, dict) and isinstance(values.get("model"), dict):
        values["model"]["pretrained"] = None
    return validate(NetworkCard, values, Source(name=str(path)))
