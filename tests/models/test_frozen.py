"""The frozen teacher says what the network says, at every precision and layout, and never learns."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from afdcd.models.frozen import FrozenTeacher
from afdcd.models.fuse import ConvReLU
from tests.models.normalised import SIZES, difference, images, network, norms

NETWORKS = [
    ("deeplabv3", "resnet18"),
    ("pspnet", "mobilenetv2"),
    ("deeplabv3", "timm:resnet10t"),
]


@pytest.mark.parametrize(("head", "encoder"), NETWORKS)
def test_outputs_are_the_networks(head: Any, encoder: str) -> None:
    plain = network(head, encoder).double()
    teacher = FrozenTeacher(plain, dtype=torch.float64)
    assert norms(teacher) == 0
    for size in SIZES:
        x = images(size, torch.float64)
        assert difference(plain, teacher, x) < 1e-10
        assert teacher(x).features.keys() == plain.taps.keys() - {"logits", "aux"}


def test_outputs_are_the_networks_where_its_encoder_cannot_be_traced() -> None:
    class Branching(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.inner(x if x.shape[3] > 40 else 2 * x)

    plain = network("pspnet", "timm:lcnet_050").double()
    plain.encoder = Branching(plain.encoder)
    teacher = FrozenTeacher(plain, dtype=torch.float64)
    assert norms(teacher) == 0
    for size in SIZES:
        assert difference(plain, teacher, images(size, torch.float64)) < 1e-10


@pytest.mark.parametrize(
    "options", [{"channels_last": True}, {"fused_relu": False}, {"dtype": torch.float64}]
)
def test_outputs_are_the_networks_under_every_option(options: dict[str, Any]) -> None:
    plain = network("pspnet", "timm:resnet10t")
    teacher = FrozenTeacher(plain, **options)
    assert difference(plain, teacher, images(SIZES[0])) < 1e-5
    layout = torch.channels_last if options.get("channels_last") else torch.contiguous_format
    features = teacher(images(SIZES[0])).features["encoder"]
    assert features.is_contiguous(memory_format=layout)
    assert features.dtype == options.get("dtype", torch.float32)
    fused = any(isinstance(module, ConvReLU) for module in teacher.modules())
    assert fused == options.get("fused_relu", True)


def test_bf16_is_kept_and_close() -> None:
    plain = network("pspnet", "timm:resnet10t")
    teacher = FrozenTeacher(plain, dtype=torch.bfloat16)
    output = teacher(images(SIZES[0]))
    assert {x.dtype for x in (output.logits, *output.features.values())} == {torch.bfloat16}
    assert difference(plain, teacher, images(SIZES[0])) < 0.05


def test_autocast_around_it_changes_nothing() -> None:
    teacher = FrozenTeacher(network("pspnet", "timm:lcnet_050"))
    expected = teacher(images(SIZES[0])).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(teacher(images(SIZES[0])).logits, expected)


def test_without_logits_only_the_encoder_is_there_and_runs() -> None:
    plain = network("pspnet", "timm:lcnet_050")
    teacher = FrozenTeacher(plain, needs={"encoder"})
    output, expected = teacher(images((64, 40))), plain(images((64, 40))).features["encoder"]
    assert output.logits.shape == (2, 0, 8, 5)
    assert output.features.keys() == {"encoder"}
    torch.testing.assert_close(output.features["encoder"], expected, rtol=1e-4, atol=1e-5)
    encoder = sum(p.numel() for p in plain.encoder.parameters())
    assert sum(p.numel() for p in teacher.parameters()) <= encoder


def test_never_learns_and_never_drops_out() -> None:
    plain = network("deeplabv3", "timm:lcnet_050", aux=True)
    teacher = FrozenTeacher(plain, fused_relu=False).train()
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    first, second = teacher(images(SIZES[0])), teacher(images(SIZES[0]))
    assert first.aux is None
    assert torch.equal(first.logits, second.logits)
    assert plain.training is False
    assert all(parameter.requires_grad for parameter in plain.parameters())


def test_losses_may_save_what_it_says() -> None:
    """Under inference_mode they could not."""
    output = FrozenTeacher(network("pspnet", "timm:lcnet_050"))(images(SIZES[0]))
    weight = torch.ones((), requires_grad=True)
    (weight * output.logits).sum().backward()
    assert weight.grad == output.logits.sum()


def test_is_independent_of_the_network_it_copies() -> None:
    plain = network("pspnet", "timm:lcnet_050")
    teacher = FrozenTeacher(plain)
    expected = teacher(images(SIZES[0])).logits
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.zero_()
    assert torch.equal(teacher(images(SIZES[0])).logits, expected)
