"""A value whose gradient was computed with it, block by block, so that nothing large is kept for later."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def with_gradient(
    value: Float[Tensor, ""], inputs: Sequence[Tensor], gradients: Sequence[Tensor]
) -> Float[Tensor, ""]:
    """`value`, through which `gradients` flow back to `inputs`; each as large as its input."""
    known: Tensor = _Known.apply(value, *inputs, *gradients)
    return known


class _Known(Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, *inputs_and_gradients: Tensor) -> Tensor:
        half = len(inputs_and_gradients) // 2
        ctx.save_for_backward(*inputs_and_gradients[half:])
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.saved_tensors
        return None, *(factor * known for known in gradients), *(None for _ in gradients)
