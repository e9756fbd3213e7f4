"""Strided encoders under SegFormer's head: all stages, any stride, their own rules."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from afdcd.config import UserError, validate
from afdcd.models.config import ModelConfig
from afdcd.models.frozen import FrozenTeacher
from afdcd.models.mlp_head import MLPHead
from afdcd.models.weights import NetworkCard, load_network, save_network
from tests.models.normalised import difference, images, network

PVT = "timm:pvt_v2_b0"


def test_taps_are_known_without_a_forward_pass() -> None:
    with torch.device("meta"):
        taps = ModelConfig(head="mlp", encoder=PVT).build(19).taps
    assert {name: (tap.channels, tap.stride) for name, tap in taps.items()} == {
        "c1": (32, 4),
        "c2": (64, 8),
        "c3": (160, 16),
        "encoder": (256, 32),
        "head": (256, 4),
        "logits": (19, 4),
    }


@pytest.mark.parametrize("encoder", ["timm:convnext_atto", "timm:resnet10t", "timm:lcnet_050"])
def test_other_families_give_their_stages_too(encoder: str) -> None:
    built = network("mlp", encoder, aux=True).train()
    output = built(images((64, 96), torch.float32))
    maps = {**output.features, "logits": output.logits, "aux": output.aux}
    assert {"c3", "encoder", "head", "logits", "aux"} <= maps.keys() == built.taps.keys()
    for name, tap in built.taps.items():
        assert maps[name].shape[1:] == (tap.channels, *tap.grid((64, 96))), name


def test_a_transformer_that_keeps_channels_last_is_read_as_the_others() -> None:
    with torch.device("meta"):
        built = ModelConfig(head="mlp", encoder="timm:swin_tiny_patch4_window7_224").build(5)
        stages = built.encoder(torch.empty(1, 3, 224, 224))
    assert [stage.shape[1] for stage in stages] == [96, 192, 384, 768]


def test_the_head_is_segformers() -> None:
    """Linear layers, the last stage first, edges upon edges, one fusing layer without bias."""
    torch.manual_seed(0)
    head = MLPHead([3, 5], 4, 2).eval()
    fine, coarse = torch.randn(1, 3, 8, 6), torch.randn(1, 5, 2, 2)
    linear = [
        F.conv2d(x, m.weight, m.bias) for x, m in zip((fine, coarse), head.lateral, strict=True)
    ]
    wide = F.interpolate(linear[1], (8, 6), mode="bilinear", align_corners=False)
    fused = F.conv2d(torch.cat([wide, linear[0]], 1), head.fuse[0].weight)
    norm = head.fuse[1]
    expected = (fused / (norm.running_var[0] + norm.eps).sqrt()).relu()
    feature, logits = head([fine, coarse])
    torch.testing.assert_close(feature, expected)
    assert logits.shape == (1, 2, 8, 6)


def test_a_frozen_one_says_the_same_and_no_more_than_is_read() -> None:
    plain = network("mlp", PVT).double()
    teacher = FrozenTeacher(plain, dtype=torch.float64)
    assert difference(plain, teacher, images((64, 96), torch.float64)) < 1e-10
    some = FrozenTeacher(plain, needs={"c2"}, dtype=torch.float64)
    output = some(images((64, 96), torch.float64))
    assert output.features.keys() == {"c2"}
    assert output.logits.shape[1] == 0
    assert some.head is None


def test_it_is_found_again_in_its_file(tmp_path: object) -> None:
    plain = network("mlp", PVT)
    card = NetworkCard(
        model=plain.config,
        dataset="synthetic",
        classes=tuple("abcde"),
        palette=((0, 0, 0),) * 5,
        normalisation="imagenet",
    )
    save_network(f"{tmp_path}/net.safetensors", plain, card)
    found, _ = load_network(f"{tmp_path}/net.safetensors")
    x = images((64, 96), torch.float32)
    assert found(x).logits.equal(plain(x).logits)
    assert found(x).align_corners is False


def test_groups_name_the_head_and_the_normalisations() -> None:
    built = network("mlp", PVT)
    groups = built.parameter_groups(head_lr_scale=10.0, decay_norms=False)
    assert groups.keys() == set(built.parameters())
    assert groups[built.head.classifier.weight] == (10.0, True)
    assert groups[built.head.fuse[1].bias] == (10.0, False)
    norms = [m for m in built.encoder.modules() if isinstance(m, nn.LayerNorm)]
    assert norms
    assert {groups[p] for m in norms for p in m.parameters()} == {(1.0, False)}
    convolution = next(m for m in built.encoder.modules() if isinstance(m, nn.Conv2d))
    assert groups[convolution.weight] == (1.0, True)
    assert set(built.parameter_groups().values()) == {(1.0, True)}


def test_an_encoder_that_cannot_be_read_is_refused_with_what_can() -> None:
    with pytest.raises(UserError, match=r"head mlp reads encoders with a stride for each stage"):
        validate(ModelConfig, {"head": "mlp", "encoder": "resnet18"})
    with pytest.raises(UserError, match=r"no stages of several strides; .*timm:pvt_v2_b0"):
        ModelConfig(head="mlp", encoder="timm:vit_tiny_patch16_224").build(5)
    with pytest.raises(UserError, match=r"cannot give features at output stride 8; .*head: mlp"):
        ModelConfig(head="deeplabv3", encoder=PVT).build(5)
