"""Work of a forward pass: the table of the published networks, a value by hand."""

from typing import Any

import pytest
import torch

from afdcd.models.complexity import gmacs
from afdcd.models.config import ModelConfig

# losses.md 1.4, "true conv GMACs" at 512x1024; they include the auxiliary head.
TRUE_GMACS = {
    ("deeplabv3", "resnet18"): (129.37, 256),
    ("deeplabv3", "resnet101"): (515.84, 1024),
    ("deeplabv3", "mobilenetv2"): (26.64, 0),
    ("pspnet", "resnet18"): (122.13, 256),
    ("pspnet", "mobilenetv2"): (21.40, 0),
}


@pytest.mark.parametrize(("head", "encoder"), TRUE_GMACS)
def test_agrees_with_the_table(head: Any, encoder: str) -> None:
    expected, c3 = TRUE_GMACS[head, encoder]
    auxiliary = (c3 * 9 + 19) * (c3 // 4) * 64 * 128 / 1e9
    with torch.device("meta"):
        network = ModelConfig(head=head, encoder=encoder).build(19)
    assert gmacs(network, 512, 1024) + auxiliary == pytest.approx(expected, abs=0.006)


def test_grows_with_the_area_and_leaves_the_network_alone() -> None:
    network = ModelConfig(head="deeplabv3", encoder="mobilenetv2").build(3)
    small, large = gmacs(network, 64, 64), gmacs(network, 128, 128)
    assert large == pytest.approx(4 * small, rel=0.01)  # the pooled branch does not grow
    assert network.training
    assert next(network.parameters()).device.type == "cpu"
