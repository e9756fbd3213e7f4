"""Which maps the contrast can be computed on: arithmetic of sizes, without tensors."""

from typing import Literal

Negatives = Literal["other_groups", "all_others"]


def shrunken(height: int, width: int, pool: int, patch: tuple[int, int]) -> tuple[int, int]:
    """The size of the map that `shrink` leaves of one of `height` x `width`.

    Raises:
        ValueError: the pooled map is smaller than one patch.
    """
    rows, columns = height // max(1, pool), width // max(1, pool)
    if rows < patch[0] or columns < patch[1]:
        raise ValueError(
            f"patch {patch[0]}x{patch[1]} does not fit the {rows}x{columns} map that pool {pool} "
            f"leaves of {height}x{width} features; lower patch or pool, or train on larger crops"
        )
    return rows - rows % patch[0], columns - columns % patch[1]


def check_groups(channels: int, groups: int) -> None:
    """Raises ValueError unless `channels` split into `groups` equal parts."""
    if channels % groups:
        divisors = [str(n) for n in (2, 4, 8, 16, 32, 64) if channels % n == 0] or ["1"]
        raise ValueError(
            f"groups {groups} does not divide the teacher's {channels} channels; "
            f"choose e.g. {', '.join(divisors)}"
        )
