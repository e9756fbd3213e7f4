"""What the ranks of a run tell each other inside a loss, on CPUs and GPUs."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def gather(values: Tensor) -> Tensor:
    """Along the first axis the values of all ranks, each of the same shape; gradients flow back."""
    gathered: Tensor = _Gather.apply(values)
    return gathered


def summed(values: Tensor) -> Tensor:
    """The sum over ranks; gradients flow back."""
    found: Tensor = _Sum.apply(values)
    return found


def total(values: Tensor) -> Tensor:
    """The sum over ranks, without gradient."""
    found = values.detach().clone()
    dist.all_reduce(found)
    return found


class _Sum(torch.autograd.Function):
    """Each rank's values are in every rank's sum, and so in every rank's loss.

    Its backward pass is such a sum again, so that a gradient can be derived once more.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return total(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return summed(gradient)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.images = len(values)
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        first = dist.get_rank() * ctx.images
        return summed(gradient)[first : first + ctx.images]


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the images of all ranks, as if one had them all.

    torch's SyncBatchNorm takes no CPU tensors. On GPUs this becomes one, by the learner.

    Attributes:
        derived_twice: whether a gradient through it is derived again, which torch's cannot do; then
            this stays on GPUs, too.
    """

    derived_twice = False

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(input)
        axes, columns = (0, 2, 3), (1, -1, 1, 1)
        count = total(torch.tensor(float(input.numel() // input.shape[1]), device=input.device))
        mean = summed(input.sum(axes)) / count
        away = input - mean.view(columns)
        variance = summed(away.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        normal = away * (variance + self.eps).rsqrt().view(columns)
        if not self.affine:
            return normal
        return normal * self.weight.view(columns) + self.bias.view(columns)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None  # for mypy
        self.num_batches_tracked += 1
        rate = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance, rate)
