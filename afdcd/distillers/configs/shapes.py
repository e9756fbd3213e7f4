"""What a method may know of its two networks before they are built."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PairShapes:
    """What a method must know of its two networks to size its adapters.

    Attributes:
        student_channels, teacher_channels: of the `encoder` tap.
        stride: of that tap, image pixels per feature pixel; the same for both networks.
    """

    student_channels: int
    teacher_channels: int
    classes: int
    stride: int
