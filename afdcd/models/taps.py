"""What is known of a network's maps without running it. Nothing here imports torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tap:
    """A named map that a distiller may read.

    Attributes:
        stride: image pixels per pixel of the map, along each axis.
    """

    channels: int
    stride: int

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the map of an image with `size` rows and columns."""
        return -(-size[0] // self.stride), -(-size[1] // self.stride)
