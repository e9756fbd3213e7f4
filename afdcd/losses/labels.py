"""Labels on the grid of a feature map."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

NO_CLASS = -1


def labels_on_grid(
    labels: Int[Tensor, "b H W"], grid: Sequence[int], classes: int
) -> Int[Tensor, "b h w"]:
    """Of each cell of a grid (rows, columns) the label of its upper left pixel.

    It is NO_CLASS unless it is one of 0..classes - 1. The official code has this rule by
    `F.interpolate(mode="nearest")` of labels made float.
    """
    row, column = (
        torch.arange(cells, device=labels.device) * pixels // cells
        for cells, pixels in zip(grid, labels.shape[1:], strict=True)
    )
    small = labels[:, row][:, :, column]
    return torch.where((small >= 0) & (small < classes), small, NO_CLASS)
