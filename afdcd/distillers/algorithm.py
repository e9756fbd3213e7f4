"""Which of the projector's algorithms is taken. They are equal but for rounding.

"dense" multiplies by the mask and convolves everything, "kept" does the first convolution at the kept
positions alone, "winograd" all of them in transformed tiles, "kept+winograd" the first in one way
and the others in the other.
"""

from collections.abc import Callable
from typing import Literal, get_args

Algorithm = Literal["auto", "dense", "kept", "winograd", "kept+winograd"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

# Takes the words for a case and what measures it, gives what runs of this case are to take.
Choose = Callable[[str, Callable[[], Algorithm]], Algorithm]

SMALL = 2**18  # positions x channels; below, algorithms differ by microseconds
# On an H200, Winograd's transforms pay at 16 images of 64x128 positions and not at 2.
WINOGRAD_POSITIONS = 2**16


def by_rule(positions: int, hidden: float, *, gpu: bool) -> Algorithm:
    """The algorithm of a run that no measurement guides; the same on every machine and day.

    Args:
        positions: of the map, over the images of a rank.
        hidden: the share of positions that the mask hides.
    """
    kept = hidden >= 0.5  # gathering a majority of the positions costs more than it saves
    winograd = gpu and positions >= WINOGRAD_POSITIONS
    if kept:
        return "kept+winograd" if winograd else "kept"
    return "winograd" if winograd else "dense"
