"""How a network is used on pictures, as options that several verbs share. Nothing here imports torch."""

import argparse
from fractions import Fraction

from pydantic import Field, PositiveFloat, PositiveInt

from afdcd.config import FrozenConfig, Source, Switch, validate


class InferenceConfig(FrozenConfig):
    """How an image is shown to a network.

    Attributes:
        window: (rows, columns) in pixels of a sliding window; None shows the whole image.
        stride: step of the window as a share of its size, rounded up to whole pixels.
        scales: factors to resize the image by; each is predicted, and all are averaged.
        flip: predict the mirror image too.
    """

    window: tuple[PositiveInt, PositiveInt] | None = None
    stride: float = Field(default=2 / 3, gt=0, le=1)
    scales: tuple[PositiveFloat, ...] = Field(default=(1.0,), min_length=1)
    flip: Switch = False

    @property
    def single_pass(self) -> bool:
        return self.window is None and self.scales == (1.0,) and not self.flip


SINGLE_PASS = InferenceConfig()


def add_inference_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how images are shown (default: whole, once)")
    group.add_argument(
        "--window", nargs=2, type=int, metavar=("ROWS", "COLUMNS"),
        help="slide a window of this many pixels over the image",
    )  # fmt: skip
    group.add_argument(
        "--stride", type=_share, default=2 / 3, help="of its size, 0..1, e.g. 2/3 (the default)"
    )
    group.add_argument(
        "--scales", nargs="+", type=float, metavar="S", default=[1.0],
        help="average over the image resized by each, e.g. 0.5 0.75 1.0 1.25 1.5 1.75",
    )  # fmt: skip
    group.add_argument("--flip", action="store_true", help="and over its mirror image")


def inference_of(args: argparse.Namespace) -> InferenceConfig:
    """Raises UserError: a value that no image can be shown with."""
    names = ("window", "stride", "scales", "flip")
    values = {name: getattr(args, name) for name in names}
    return validate(InferenceConfig, values, Source("options"))


def _share(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write 2/3 or 0.5") from None
