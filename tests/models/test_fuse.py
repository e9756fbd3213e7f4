"""Fusing: which convolutions take their ReLU and sum, which must not, and equal results."""

import operator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from afdcd.models.fold import fold_batch_norm
from afdcd.models.fuse import ConvReLU, fuse_relu
from afdcd.models.tracing import trace
from tests.models.normalised import SIZES, images, network


@pytest.mark.parametrize(
    ("encoder", "fused", "sums"),
    [("resnet18", 19, 8), ("timm:resnet10t", 11, 4), ("timm:mobilenetv3_small_050", 11, 0)],
)
def test_every_relu_of_a_residual_network_goes_into_a_convolution(
    encoder: str, fused: int, sums: int
) -> None:
    plain = network("pspnet", encoder).encoder
    graph = _fused(fold_batch_norm(plain))
    calls = [node for node in graph.graph.nodes if _is_fused(graph, node)]
    assert (len(calls), sum(len(node.args) == 2 for node in calls)) == (fused, sums)
    for size in SIZES:
        with torch.no_grad():
            torch.testing.assert_close(
                graph(images(size)), plain(images(size)), rtol=1e-4, atol=1e-4
            )


class Block(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, **{"padding": 1, **options})
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))


class InPlace(Block):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y += x
        return self.relu(y)


class SumRight(Block):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.add(x.mean(dim=1, keepdim=True), self.conv(x)))


class ChangesOther(Block):
    """The input is changed for all who look at it."""

    def forward(self, x: Tensor) -> Tensor:
        z = x * 2
        y = operator.iadd(z, self.conv(x))
        return self.relu(y) + z


class SeenSum(Block):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x) + x
        return self.relu(y) + y


class SeenConvolution(Block):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.relu(y) - y


class Doubled(Block):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.relu(y + y)


class Scaled(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(torch.add(self.conv(x), x, alpha=3))


class Number(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x) + 1)


class InputChanges(Block):
    """Between convolution and ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        x = x + 1
        y = self.conv(x)
        z = x.mul_(2)
        return self.relu(y + z)


class TermChanges(Block):
    """Between sum and ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        z = x + 1
        y = self.conv(x) + z
        z = z.mul_(2)
        return self.relu(y) + z


@pytest.mark.parametrize("block", [Block(), InPlace(), SumRight(), Block(dilation=2, stride=2)])
def test_sum_on_either_side_and_every_spelling_is_fused(block: Block) -> None:
    graph = _fused(block)
    assert any(_is_fused(graph, node) for node in graph.graph.nodes)
    _same(graph, block)


@pytest.mark.parametrize(
    "block",
    [
        ChangesOther(),
        SeenSum(),
        SeenConvolution(),
        Doubled(),
        Scaled(),
        Number(),
        InputChanges(),
        TermChanges(),
        Block(groups=3),
        Block(padding="same"),
        Block(padding_mode="reflect"),
    ],
)
def test_what_somebody_else_sees_or_the_kernel_cannot_do_stays(block: Block) -> None:
    graph = _fused(block)
    assert not any(_is_fused(graph, node) for node in graph.graph.nodes)
    _same(graph, block)


def test_shape_that_a_sum_must_have_is_the_convolutions() -> None:
    """The kernel would read past the end of a smaller one."""
    fused = ConvReLU(nn.Conv2d(3, 4, 3, stride=2, padding=1, dilation=2))
    x = images((17, 12))
    assert fused._shape(x) == fused.conv(x).shape


class Kernels:
    """cuDNN as the documentation has it, on the CPU."""

    def __init__(self, fails: bool = False) -> None:
        self.calls, self.fails = 0, fails

    def relu(self, x: Tensor, w: Tensor, b: Tensor, *geometry: Any) -> Tensor:
        self.calls += 1
        if self.fails:
            raise RuntimeError("no engine")
        return F.relu(F.conv2d(x, w, b, *geometry))

    def add_relu(self, x: Tensor, w: Tensor, z: Tensor, alpha: float, b: Tensor, *g: Any) -> Tensor:
        self.calls += 1
        return F.relu(F.conv2d(x, w, b, *g) + alpha * z)


@pytest.mark.parametrize("block", [Block(dilation=2, stride=2), InPlace()])
@pytest.mark.parametrize("fails", [False, True])
def test_kernels_are_handed_what_they_need_and_may_fail(
    monkeypatch: pytest.MonkeyPatch, block: Block, fails: bool
) -> None:
    kernels = Kernels(fails)
    monkeypatch.setattr(torch, "cudnn_convolution_relu", kernels.relu)
    monkeypatch.setattr(torch, "cudnn_convolution_add_relu", kernels.add_relu)
    monkeypatch.setattr(ConvReLU, "_on_cuda", lambda self, x: True)
    graph = _fused(block)
    _same(graph, block)
    _same(graph, block)
    assert kernels.calls == (1 if fails and type(block) is Block else 2)


def _fused(module: nn.Module) -> fx.GraphModule:
    traced = trace(module.eval())
    assert traced is not None
    return fuse_relu(traced[0])


def _is_fused(graph: fx.GraphModule, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(graph.get_submodule(str(node.target)), ConvReLU)


def _same(graph: nn.Module, plain: nn.Module) -> None:
    with torch.no_grad():
        torch.testing.assert_close(graph(images((9, 8))), plain(images((9, 8))))
