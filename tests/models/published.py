"""Weights as others published them."""

from torch import Tensor

from afdcd.models.names import official_name
from afdcd.models.zoo import SegmentationNetwork


def to_official(network: SegmentationNetwork) -> dict[str, Tensor]:
    """The state dict under the keys of CIRKD v1 and Af-DCD."""
    head = network.config.head
    return {official_name(key, head): value for key, value in network.state_dict().items()}
