"""Folding: equal outputs, no normalisation left where one can go, all others left alone."""

import copy
from typing import Any

import pytest
import torch
from timm.layers import BatchNormAct2d, ScaledStdConv2d
from torch import Tensor, nn

from afdcd.models.fold import fold_batch_norm
from tests.models.normalised import SIZES, difference, images, network, norms, settle

PAPER = [
    ("deeplabv3", "resnet18"),
    ("pspnet", "resnet18"),
    ("deeplabv3", "mobilenetv2"),
    ("pspnet", "mobilenetv2"),
    ("pspnet", "resnet101"),
]
TIMM = [
    ("deeplabv3", "timm:regnetx_002"),
    ("pspnet", "timm:mobilenetv3_small_050"),
    ("deeplabv3", "timm:resnet10t"),  # pools by its image's size, which cannot be traced
    ("pspnet", "timm:lcnet_050"),
]


@pytest.mark.parametrize(("head", "encoder"), PAPER + TIMM)
def test_outputs_are_equal_at_every_size_and_no_normalisation_is_left(
    head: Any, encoder: str
) -> None:
    plain = network(head, encoder).double()
    folded = fold_batch_norm(plain)
    assert (norms(plain) > 10, norms(folded)) == (True, 0)
    for size in SIZES:
        assert difference(plain, folded, images(size, torch.float64)) < 1e-10


@pytest.mark.parametrize(("head", "encoder"), [PAPER[0], PAPER[3], TIMM[0]])
def test_fp32_is_equal_up_to_its_rounding(head: Any, encoder: str) -> None:
    plain = network(head, encoder)
    assert difference(plain, fold_batch_norm(plain), images(SIZES[0])) < 1e-5


def test_network_that_is_folded_stays_as_it_is() -> None:
    plain = network("pspnet", "timm:lcnet_050").train()
    before = copy.deepcopy(plain.state_dict())
    folded = fold_batch_norm(plain)
    assert (plain.training, folded.training) == (True, False)
    torch.testing.assert_close(dict(plain.state_dict()), dict(before), rtol=0, atol=0)
    kept = {id(p) for p in plain.parameters()}
    assert kept.isdisjoint(id(p) for p in folded.parameters())


class Tapped(nn.Module):
    """Somebody else sees what is normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class Sliced(Tapped):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(self.conv, self.norm)
        del self.conv, self.norm

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers[:1](x)
        return self.layers[1:](y) + y


class TwiceConvolved(Tapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) * self.conv(x + 1).mean()


class TwiceNormalised(Tapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.norm(self.conv(x)))


class WeightRead(Tapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.conv.weight.mean()


class Standardised(Tapped):
    def __init__(self) -> None:
        super().__init__()
        self.conv = ScaledStdConv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Hooked(Standardised):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.conv.register_forward_hook(lambda module, inputs, output: 2 * output)


class OfItsBatch(Standardised):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)


class Shared(nn.Module):
    """The second user of the convolution cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(3, 3, 3)
        self.first = nn.Sequential(conv, nn.BatchNorm2d(3))
        self.second = Branching(conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class Branching(nn.Module):
    """Looks at the size of its images."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x if x.shape[2] > 30 else x.mT)


KEPT = [
    Tapped,
    Sliced,
    TwiceConvolved,
    TwiceNormalised,
    WeightRead,
    Standardised,
    Hooked,
    OfItsBatch,
    Shared,
]


@pytest.mark.parametrize("kind", KEPT)
def test_normalisation_that_cannot_go_stays(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    plain = kind()
    if kind is not OfItsBatch:
        settle(plain)
    folded = fold_batch_norm(plain.eval())
    assert norms(folded) == 1
    x = images((12, 9))
    torch.testing.assert_close(folded(x), plain(x), rtol=0, atol=0)


def test_parts_of_what_cannot_be_traced_are_folded() -> None:
    torch.manual_seed(0)
    plain = Branching(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))
    outer = nn.Sequential(Branching(plain), nn.Conv2d(4, 2, 1, bias=False), nn.BatchNorm2d(2))
    settle(outer)
    folded = fold_batch_norm(outer.eval())
    assert norms(folded) == 0
    for size in SIZES:
        torch.testing.assert_close(folded(images(size)), outer(images(size)))


@pytest.mark.parametrize("affine", [True, False])
def test_activation_and_drop_that_timm_puts_into_the_normalisation_stay(affine: bool) -> None:
    torch.manual_seed(0)
    norm = BatchNormAct2d(4, affine=False, act_layer=nn.Hardswish, drop_layer=nn.Dropout)
    if affine:
        norm = BatchNormAct2d(4, act_layer=nn.Hardswish, drop_layer=nn.Dropout)
        settle(norm)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), norm).eval()
    folded = fold_batch_norm(plain)
    assert norms(folded) == 0
    torch.testing.assert_close(folded(images((9, 9))), plain(images((9, 9))))
