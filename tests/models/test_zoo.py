"""The zoo: sizes of the published networks, outputs, taps, refusals."""

from typing import Any

import pytest
import torch

from afdcd.config import UserError, validate
from afdcd.models.complexity import parameters
from afdcd.models.config import ModelConfig
from afdcd.models.zoo import SegmentationNetwork

# 19 classes, auxiliary head included; the CIRKD paper prints them in M with three decimals.
PUBLISHED = {
    ("deeplabv3", "resnet18"): 13_607_974,
    ("deeplabv3", "resnet101"): 61_118_950,
    ("deeplabv3", "mobilenetv2"): 3_233_171,
    ("pspnet", "resnet18"): 12_919_334,
    ("pspnet", "resnet101"): 68_072_166,
    ("pspnet", "mobilenetv2"): 2_654_739,
}
SMALL = [
    ("deeplabv3", "mobilenetv2"),
    ("pspnet", "timm:lcnet_050"),
    ("mlp", "timm:pvt_v2_b0"),
    ("mlp", "timm:resnet10t"),
]


@pytest.mark.parametrize(("head", "encoder"), PUBLISHED)
def test_parameters_are_those_of_the_published_networks(head: Any, encoder: str) -> None:
    with torch.device("meta"):
        network = ModelConfig(head=head, encoder=encoder).build(19)
    assert parameters(network) == PUBLISHED[head, encoder]


@pytest.mark.parametrize(("head", "encoder"), SMALL)
def test_output_is_what_the_taps_say(head: Any, encoder: str) -> None:
    network = ModelConfig(head=head, encoder=encoder, aux=True).build(5)
    output = network(torch.zeros(2, 3, 64, 40))
    maps = {**output.features, "logits": output.logits, "aux": output.aux}
    assert maps.keys() == network.taps.keys()
    for name, tap in network.taps.items():
        assert maps[name].shape == (2, tap.channels, *tap.grid((64, 40)))


@pytest.mark.parametrize(("head", "encoder"), SMALL)
def test_every_parameter_learns(head: Any, encoder: str) -> None:
    """DDP waits for ever for the gradient of a parameter that no output uses."""
    torch.manual_seed(0)
    network = ModelConfig(head=head, encoder=encoder, aux=True).build(5)
    output = network(torch.randn(2, 3, 64, 64))
    (output.logits.square().sum() + output.aux.square().sum()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_auxiliary_head_rests_while_evaluating() -> None:
    network = ModelConfig(head="pspnet", encoder="timm:lcnet_050").build(5).eval()
    assert network.aux is not None
    assert network(torch.zeros(1, 3, 64, 64)).aux is None


def test_auxiliary_head_by_default_is_the_papers() -> None:
    aux = {name: _on_meta(encoder=name).aux for name in ("resnet18", "mobilenetv2")}
    assert aux["resnet18"] is not None
    assert aux["mobilenetv2"] is None
    assert _on_meta(encoder="resnet18", aux=False).aux is None


@pytest.mark.parametrize(
    ("encoder", "width"),
    [("timm:lcnet_050", 64), ("timm:mobilenetv3_small_050", 72), ("timm:resnet26", 256)],
)
def test_head_width_of_timm_encoders_follows_the_stated_rule(encoder: str, width: int) -> None:
    assert _on_meta(encoder=encoder).taps["head"].channels == width
    assert _on_meta(encoder=encoder, head_width=24).taps["head"].channels == 24


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"head": "deeplabv3", "encoder": "resnet18"}, "deeplabv3-resnet18"),
        ({"head": "pspnet", "encoder": "timm:resnet10t"}, "pspnet-resnet10t"),
    ],
)
def test_name_is_fit_for_files_and_registry(config: dict[str, str], name: str) -> None:
    assert validate(ModelConfig, config).name == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "deeplab"}, "head.*'deeplab' is not one of 'deeplabv3', 'pspnet' or 'mlp'"),
        ({"pretrained": "imagenet"}, "no ImageNet weights can be fetched for resnet18"),
        ({"head_width": 0}, "head_width"),
    ],
)
def test_config_refuses_with_the_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(ModelConfig, {"head": "deeplabv3", "encoder": "resnet18"} | changes)


def test_an_unknown_encoder_is_told_with_the_right_names() -> None:
    with pytest.raises(UserError, match="unknown encoder 'resnet19'; use one of resnet18"):
        ModelConfig(head="deeplabv3", encoder="resnet19").build(5)


def _on_meta(**settings: Any) -> SegmentationNetwork:
    with torch.device("meta"):
        return ModelConfig(head="deeplabv3", **settings).build(5)
