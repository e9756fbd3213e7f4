"""What a forward pass computes and keeps, against one that really runs."""

import pytest
import torch

from afdcd.models.complexity import gmacs, parameters
from afdcd.models.config import ModelConfig
from afdcd.models.footprint import footprint

PLAIN = ModelConfig(head="pspnet", encoder="timm:resnet10t", aux=False)


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv2", "timm:lcnet_050"])
def test_it_keeps_what_autograd_keeps(encoder: str) -> None:
    config = ModelConfig(head="deeplabv3", encoder=encoder)
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = (storage.nbytes(), tensor)
        return tensor

    network = config.build(5).train()
    weights = {p.untyped_storage()._cdata for p in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.randn(2, 3, 64, 96))
    real = sum(size for key, (size, _) in kept.items() if key not in weights) / 2
    found = footprint(config, 5, 64, 96)
    assert 4 * found.floats + found.other == pytest.approx(real, rel=0.03)


def test_it_counts_parameters_arithmetic_and_the_map(tmp_path: object) -> None:
    network = PLAIN.build(5)
    found = footprint(PLAIN, 5, 64, 96)
    assert found.parameters == parameters(network)
    assert found.gmacs == pytest.approx(gmacs(network, 64, 96))
    assert found.features == (512, 8, 12)


def test_pretrained_weights_are_not_fetched_for_it() -> None:
    assert footprint(PLAIN.updated(pretrained="imagenet"), 5, 64, 96) == footprint(PLAIN, 5, 64, 96)
