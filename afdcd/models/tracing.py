"""A network's graph of calls, as far as it can be had without running it."""

import operator
from collections.abc import Callable
from typing import Any

from torch import fx, nn


def trace(network: nn.Module) -> tuple[fx.GraphModule, list[nn.Module]] | None:
    """The graph of `network`, and the modules in it that are called whole for want of their own.

    Convolutions and batch normalisations are always called whole. The graph holds for the mode
    that the network is in, and for every size of image.

    Returns:
        None if the forward pass cannot be traced, e.g. because it branches on sizes; or if hooks
        listen to some part of it, which a graph would not call.
    """
    if any(_is_hooked(module) for module in network.modules() if module is not network):
        return None
    opaque: set[type[nn.Module]] = set()
    while True:
        tracer = _Tracer(opaque)
        try:
            graph = fx.GraphModule(network, tracer.trace(network))
        except Exception:  # whatever a forward pass may raise on being handed symbols
            if tracer.failed is None or type(tracer.failed) in opaque:
                return None
            opaque.add(type(tracer.failed))
        else:
            return graph, [module for module in graph.modules() if type(module) in opaque]


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


class _Symbol(fx.Proxy):
    """`x += y` changes x for all who hold it; fx itself takes it for x = x + y."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.iadd, other)

    def __isub__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.isub, other)

    def __imul__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.imul, other)

    def __itruediv__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.itruediv, other)

    def _in_place(self, operation: Callable[..., Any], other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operation, (self, other), {})


class _Tracer(fx.Tracer):
    def __init__(self, opaque: set[type[nn.Module]]) -> None:
        super().__init__()
        self.opaque = opaque
        self.failed: nn.Module | None = None

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Symbol(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # timm's subclasses too: their forward passes look at sizes.
        known = isinstance(m, nn.Conv2d | nn.BatchNorm2d) or type(m) in self.opaque
        return known or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if isinstance(m, nn.Sequential):
            # A slice of one is a new module, which has no name to be called by.
            return forward(*args, **kwargs)
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            if self.failed is None:  # the innermost
                self.failed = m
            raise
