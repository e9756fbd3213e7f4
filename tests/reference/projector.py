"""Masked reconstruction as OSVAI/Af-DCD@5b086a7 `losses/ocmgd.py` computes it: every position, fp32.

Axes: b images, s and t channels of student and teacher, h w rows and columns.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class OfficialReconstruction(nn.Module):
    """Align all pixels, zero the hidden ones, convolve all positions.

    Parameters are called as those of `MaskedReconstruction`, so that one can load the other's.
    """

    def __init__(self, student: int, teacher: int, *, enhanced: bool = False) -> None:
        super().__init__()
        # The authors' code has no align for equal widths, and then fails: nothing to compare with.
        self.align = nn.Identity() if student == teacher else nn.Conv2d(student, teacher, 1)
        self.projector = _Enhanced(teacher) if enhanced else _plain(teacher)

    def forward(
        self, feature: Float[Tensor, "b s h w"], mask: Float[Tensor, "b 1 h w"]
    ) -> Float[Tensor, "b t h w"]:
        """`mask` is 1 where a pixel stays and 0 where it is hidden."""
        return self.projector(self.align(feature) * mask)


class _Enhanced(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden1, self.hidden2 = _conv3x3(channels), _conv3x3(channels)
        self.readout1, self.readout2 = _conv3x3(channels), _conv3x3(channels)

    def forward(self, x: Float[Tensor, "b t h w"]) -> Float[Tensor, "b t h w"]:
        h1 = F.relu(self.hidden1(x))
        h2 = F.relu(self.hidden2(h1))
        return (self.readout1(h1) + self.readout2(h2)) / 2


def _plain(channels: int) -> nn.Module:
    return nn.Sequential(_conv3x3(channels), nn.ReLU(), _conv3x3(channels))


def _conv3x3(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1)


def random_mask(uniform: Float[Tensor, "b 1 h w"], mask_ratio: float) -> Float[Tensor, "b 1 h w"]:
    return torch.where(uniform > 1 - mask_ratio, 0, 1).to(uniform.dtype)


def centre_mask(feature: Float[Tensor, "b s h w"]) -> Float[Tensor, "b 1 h w"]:
    images, _, h, w = feature.shape
    mask = feature.new_ones(images, 1, h, w)
    mask[..., h // 3 : 2 * h // 3, w // 3 : 2 * w // 3] = 0
    return mask


def feature_distance(
    reconstruction: Float[Tensor, "b t h w"], teacher: Float[Tensor, "b t h w"]
) -> Float[Tensor, ""]:
    return F.mse_loss(reconstruction, teacher, reduction="sum") / len(teacher)
