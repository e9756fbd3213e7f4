"""Two maps of one image on one grid."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def on_one_grid(
    first: Float[Tensor, "b c1 h1 w1"], second: Float[Tensor, "b c2 h2 w2"]
) -> tuple[Float[Tensor, "b c1 h w"], Float[Tensor, "b c2 h w"]]:
    """Both on the grid of the coarser: a cell of it takes the mean of what it covers of the finer.

    Maps of equal size come back as they are. Nothing is invented between the positions of a coarse
    map, and no position of a fine one is left out.

    Raises:
        ValueError: the one has more rows, the other more columns.
    """
    sizes = first.shape[2:], second.shape[2:]
    if sizes[0] == sizes[1]:
        return first, second
    coarse = (min(sizes[0][0], sizes[1][0]), min(sizes[0][1], sizes[1][1]))
    if coarse not in (tuple(sizes[0]), tuple(sizes[1])):
        raise ValueError(f"maps of {tuple(sizes[0])} and {tuple(sizes[1])} have no common grid")
    return F.adaptive_avg_pool2d(first, coarse), F.adaptive_avg_pool2d(second, coarse)
