"""Convolution, addition and ReLU as one cuDNN kernel, for networks that only predict."""

import logging
import operator
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, fx, nn

SUMS = (operator.add, operator.iadd, torch.add)
RELUS = (F.relu, torch.relu)
FUSED_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def fuse_relu(graph: fx.GraphModule) -> fx.GraphModule:
    """`graph` with each relu(conv(x)) and relu(conv(x) + z) as one `ConvReLU`; changed in place.

    For graphs in eval mode (see `afdcd.models.tracing.trace`), run without gradients. Only where
    nothing else sees what is between. Grouped convolutions stay, they have kernels of their own;
    so do paddings that are not zeros, or not the same on both sides.
    """
    _drop_idle(graph)
    for node in list(graph.graph.nodes):
        if not _is_relu(graph, node):
            continue
        inner = node.all_input_nodes[0]
        if _is_fusible(graph, inner, node):
            _fuse(graph, [inner, node], inner.args)
        elif _is_sum(inner):
            left, right = inner.args
            if _is_fusible(graph, left, node):
                _fuse(graph, [left, inner, node], (*left.args, right))
            # `left += conv(x)` also changes what others see of left.
            elif _is_fusible(graph, right, node) and inner.target is not operator.iadd:
                _fuse(graph, [right, inner, node], (*right.args, left))
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


class ConvReLU(nn.Module):
    """relu(conv(x) + z): one kernel on CUDA, the plain operations elsewhere. No gradients."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.fusible = True

    def forward(
        self, x: Float[Tensor, "b c H W"], z: Float[Tensor, "*b k h w"] | None = None
    ) -> Float[Tensor, "b k h w"]:
        if self._fuses(x, z):
            try:
                return self._fused(x, z)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # cuDNN has no engine for some shapes
                self.fusible = False
                logging.getLogger(__name__).info("%s runs unfused: %s", self.conv, error)
        y = self.conv(x)
        return F.relu(y if z is None else y + z)

    def _fuses(self, x: Tensor, z: Tensor | None) -> bool:
        return self.fusible and self._on_cuda(x) and (z is None or z.shape == self._shape(x))

    def _on_cuda(self, x: Tensor) -> bool:
        return x.is_cuda and x.dtype == self.conv.weight.dtype and x.dtype in FUSED_DTYPES

    def _shape(self, x: Tensor) -> tuple[int, ...]:
        """The kernel adds without broadcasting."""
        conv: Any = self.conv
        sides = zip(
            x.shape[2:], conv.kernel_size, conv.stride, conv.padding, conv.dilation, strict=True
        )
        rows, columns = (
            (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, padding, dilation in sides
        )
        return x.shape[0], conv.out_channels, rows, columns

    def _fused(self, x: Tensor, z: Tensor | None) -> Tensor:
        conv: Any = self.conv
        where = (conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        if z is None:
            return torch.cudnn_convolution_relu(x, conv.weight, *where)
        return torch.cudnn_convolution_add_relu(x, conv.weight, z, 1.0, *where)


def _drop_idle(graph: fx.GraphModule) -> None:
    """What folding leaves between convolution and ReLU, and what only trains."""
    for node in list(graph.graph.nodes):
        if isinstance(_module(graph, node), nn.Identity | nn.Dropout):
            node.replace_all_uses_with(node.all_input_nodes[0])
            graph.graph.erase_node(node)


def _is_relu(graph: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_function":
        return node.target in RELUS
    return isinstance(_module(graph, node), nn.ReLU)


def _is_sum(node: fx.Node) -> bool:
    """Of two tensors; nobody but the ReLU takes it, and at once: they have not changed since."""
    plain = node.target in SUMS and not node.kwargs and list(node.users) == [node.next]
    return plain and len(node.all_input_nodes) == len(node.args) == 2


def _is_fusible(graph: fx.GraphModule, node: fx.Node, relu: fx.Node) -> bool:
    conv = _module(graph, node)
    if type(conv) is not nn.Conv2d or conv.groups > 1 or len(node.users) > 1:
        return False
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        return False
    # The kernel runs in the place of the ReLU; until then somebody might change the input.
    between, taker = node.next, next(iter(node.users))
    while between is not relu:
        if between is not taker and node.args[0] in between.all_input_nodes:
            return False
        between = between.next
    return True


def _module(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def _fuse(graph: fx.GraphModule, nodes: list[fx.Node], args: tuple[Any, ...]) -> None:
    """Put the convolution `nodes[0]`, followed by the others, where the last of them is."""
    name = f"{nodes[0].target}_fused"
    conv: Any = _module(graph, nodes[0])
    graph.add_submodule(name, ConvReLU(conv))
    with graph.graph.inserting_before(nodes[-1]):
        fused = graph.graph.call_module(name, args)
    nodes[-1].replace_all_uses_with(fused)
    for node in reversed(nodes):
        graph.graph.erase_node(node)
