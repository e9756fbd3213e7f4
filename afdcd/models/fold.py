"""Batch normalisation folded into the convolutions before it, for networks that only predict."""

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, fx, nn

from afdcd.models.tracing import trace

# By exact type: other subclasses, e.g. with standardised weights, compute something else.
CONVOLUTIONS = (nn.Conv2d, Conv2dSame)
NORMALISATIONS = (nn.BatchNorm2d, BatchNormAct2d)


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """A copy of `network` in eval mode without the batch normalisations that follow a convolution.

    Outputs are the same up to rounding, the modules keep their names. A normalisation stays where
    something else sees the convolution's output, where either is used twice, or where the way
    between them cannot be traced. In modules that cannot be traced the children are folded; they
    are taken to be called whole.
    """
    folded = copy.deepcopy(network).eval()
    names = Counter(id(module) for _, module in folded.named_modules(remove_duplicate=False))
    _fold(folded, {module for module in folded.modules() if names[id(module)] > 1})
    return folded


def _fold(module: nn.Module, shared: set[nn.Module]) -> None:
    traced = trace(module)
    if traced is None:
        others = list(module.children())
    else:
        graph, opaque = traced
        for pair in list(_pairs(graph)):
            conv, norm = [graph.get_submodule(name) for name in pair]
            if norm.running_mean is not None and shared.isdisjoint((conv, norm)):
                _absorb(conv, norm)
                module.set_submodule(pair[1], _rest(norm))
        called = {str(node.target).partition(".")[0] for node in graph.graph.nodes}
        idle = [child for name, child in module.named_children() if name not in called]
        others = [*idle, *(child for parent in opaque for child in parent.children())]
    for other in others:
        _fold(other, shared)


def _pairs(graph: fx.GraphModule) -> Iterator[tuple[str, str]]:
    """Names of a convolution and of the normalisation that alone takes its output."""
    calls = Counter(node.target for node in graph.graph.nodes if node.op == "call_module")
    # Modules whose parameters are also read past them.
    read = {str(n.target).rpartition(".")[0] for n in graph.graph.nodes if n.op == "get_attr"}
    for node in graph.graph.nodes:
        if not _calls(graph, node, NORMALISATIONS):
            continue
        source = node.all_input_nodes[0]
        names = str(source.target), str(node.target)
        alone = len(source.users) == 1 and all(calls[name] == 1 for name in names)
        if _calls(graph, source, CONVOLUTIONS) and alone and read.isdisjoint(names):
            yield names


def _calls(graph: fx.GraphModule, node: fx.Node, types: tuple[type[nn.Module], ...]) -> bool:
    return node.op == "call_module" and type(graph.get_submodule(str(node.target))) in types


@torch.no_grad()
def _absorb(conv: Any, norm: Any) -> None:
    """In fp64, so that folding adds one rounding and no more."""
    mean, scale = norm.running_mean.double(), (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    bias = -mean if conv.bias is None else conv.bias.double() - mean
    bias = bias * scale if norm.bias is None else bias * scale + norm.bias.double()
    weight = conv.weight.double() * scale[:, None, None, None]
    conv.weight, conv.bias = (_parameter(new, conv.weight) for new in (weight, bias))


def _parameter(values: Tensor, like: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(values.to(like.dtype), requires_grad=like.requires_grad)


def _rest(norm: nn.Module) -> nn.Module:
    """What timm does after normalising, in the same module."""
    if isinstance(norm, BatchNormAct2d):
        return nn.Sequential(norm.drop, norm.act)
    return nn.Identity()
