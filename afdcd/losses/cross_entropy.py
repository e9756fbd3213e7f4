"""Cross-entropy of coarse logits against labels at image resolution, in bounded memory.

Axes: b images, k classes, h w rows and columns of the logits, H W of the label map; n r images and
rows of one chunk.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor
from torch.autograd.function import once_differentiable

from afdcd.losses.precision import at_least_fp32

# Upsampled logits held at once, 128 MiB in fp32: some three crops of 512x1024 with 19 classes.
CHUNK_ELEMENTS = 2**25


def upsampled_cross_entropy(
    logits: Float[Tensor, "b k h w"],
    labels: Integer[Tensor, "b H W"],
    ignore: int,
    *,
    align_corners: bool = True,
) -> Float[Tensor, ""]:
    """Sum in nats, over pixels not labelled `ignore`, of the logits' cross-entropy at label size.

    The logits are upsampled bilinearly, in fp32 at least. Once differentiable: the gradient is found
    together with the value, chunk by chunk, so that nothing of the labels' size is kept for the
    backward pass.
    """
    total: Tensor = _UpsampledCrossEntropy.apply(
        at_least_fp32(logits), labels, ignore, align_corners
    )
    return total


class _UpsampledCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, ignore: int, align: bool) -> Tensor:
        with _full_precision(logits.device.type):
            total, gradient = _value_and_gradient(logits, labels, ignore, align)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer, None, None, None


def _value_and_gradient(
    logits: Float[Tensor, "b k h w"], labels: Integer[Tensor, "b H W"], ignore: int, align: bool
) -> tuple[Float[Tensor, ""], Float[Tensor, "b k h w"]]:
    # Interpolation as two matrix products: the backward pass of F.interpolate adds atomically on
    # CUDA, slowly and in no fixed order.
    down = _interpolation(logits.shape[2], labels.shape[1], logits, align)
    across = _interpolation(logits.shape[3], labels.shape[2], logits, align)
    images, rows = _chunk(logits.shape[1], labels.shape[1], labels.shape[2])
    total, gradient = logits.new_zeros(()), torch.empty_like(logits)
    for low, target, result in zip(
        logits.split(images), labels.split(images), gradient.split(images), strict=True
    ):
        wide = low @ across
        wide_gradient = torch.zeros_like(wide)
        for weights, these in zip(down.split(rows, dim=1), target.split(rows, dim=1), strict=True):
            value, pixels = _cross_entropy(weights.T @ wide, these, ignore)
            total += value
            wide_gradient += weights @ pixels
        result.copy_(wide_gradient @ across.T)
    return total, gradient


def _cross_entropy(
    logits: Float[Tensor, "n k r W"], labels: Integer[Tensor, "n r W"], ignore: int
) -> tuple[Float[Tensor, ""], Float[Tensor, "n k r W"]]:
    ignored = (labels == ignore)[:, None]
    classes = labels[:, None].long().masked_fill(ignored, 0)
    log_p = logits.log_softmax(dim=1)
    right = log_p.gather(1, classes)
    total = -right.masked_fill(ignored, 0).sum()
    gradient = log_p.exp_().scatter_(1, classes, right.expm1())
    return total, gradient.masked_fill_(ignored, 0)


def _interpolation(
    inputs: int, outputs: int, like: Tensor, align: bool
) -> Float[Tensor, "{inputs} {outputs}"]:
    """Weight of each input for each output: F.interpolate of the unit vectors."""
    units = torch.eye(inputs, dtype=like.dtype, device=like.device)[None]
    return F.interpolate(units, size=outputs, mode="linear", align_corners=align)[0]


def _chunk(classes: int, height: int, width: int) -> tuple[int, int]:
    """Images and rows at a time: whole images if one fits, rows of one image if none does."""
    images = max(1, CHUNK_ELEMENTS // (classes * height * width))
    return images, max(1, min(height, CHUNK_ELEMENTS // (classes * width)))


@contextmanager
def _full_precision(device: str) -> Iterator[None]:
    """No autocast, no TF32 or bf16 inside matrix products: their error would reach every pixel."""
    backends: Any = torch.backends
    products = (backends.cuda.matmul, backends.mkldnn.matmul)
    before = [product.fp32_precision for product in products]
    try:
        for product in products:
            product.fp32_precision = "ieee"
        with torch.autocast(device, enabled=False):
            yield
    finally:
        for product, precision in zip(products, before, strict=True):
            product.fp32_precision = precision
