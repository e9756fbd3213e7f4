"""What a method costs, reckoned from shapes before anything is built.

The counts per place of a map follow the formulas; bytes are of what a backward pass needs, in fp32.
"""

from dataclasses import dataclass

NUMBER = 4.0  # bytes


@dataclass(frozen=True, slots=True)
class Convolutions:
    """Of 3x3, for which a GPU has a cheaper algorithm (Winograd's) where the maps of a batch are large.

    Attributes:
        gmacs: 10^9 multiply-accumulates of an image, forward and backward, without that algorithm.
        places, channels: of the map.
    """

    gmacs: float
    places: int
    channels: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one image of a step, beside the two networks; what machine it runs on is the plan's to know.

    Attributes:
        gmacs: 10^9 multiply-accumulates, forward and backward.
        kept: bytes on the device.
        numbers: in maps that are in the run's own precision.
        differences: |s - t|, forward and backward; a device computes fewer of them than products.
        convolutions: not in `gmacs`.
    """

    gmacs: float = 0.0
    kept: float = 0.0
    numbers: float = 0.0
    differences: float = 0.0
    convolutions: tuple[Convolutions, ...] = ()

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.gmacs + other.gmacs,
            self.kept + other.kept,
            self.numbers + other.numbers,
            self.differences + other.differences,
            self.convolutions + other.convolutions,
        )


def likeness(rows: int, columns: int, student: int, teacher: int, *, learnt: int = 2) -> Cost:
    """Of two networks' products of rows and columns of such widths, in blocks; the student's backward.

    Both of a pair's vectors are kept, and the gradient of the student's.

    Args:
        learnt: 1 where no gradient flows to the columns.
    """
    macs = rows * columns * ((1 + learnt) * student + teacher)
    return Cost(macs / 1e9, NUMBER * (rows + columns) * (3 * student + 2 * teacher))


def pixelwise(places: int, channels: int, copies: int = 6) -> Cost:
    """Of terms that only look at each place or channel: so many maps of that size."""
    return Cost(0.0, NUMBER * copies * places * channels)
