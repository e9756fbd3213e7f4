"""Which colour stands for which class: the one painter of legends, for panels and contact sheets."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from afdcd.data.catalog.dataset import ignored_colour
from afdcd.data.catalog.train_ids import IGNORE, RGB

PAPER, INK, FRAME = (255, 255, 255), (40, 40, 40), (160, 160, 160)
_FONT, _LINE, _SWATCH, _SPACE = 16, 28, 18, 8
_GAP = 24  # between a name and the next column's colour
_LONGEST = 28  # characters of a name


def colours(palette: Sequence[RGB]) -> list[RGB]:
    """One colour for each of the 256 values that a label can have."""
    return [*palette, *[ignored_colour(palette)] * (256 - len(palette))]


def legend(
    shown: Sequence[int],
    classes: Sequence[str],
    palette: Sequence[RGB],
    width: int,
    *,
    more: int = 0,
) -> Image.Image:
    """A colour and a name for each label value in `shown`, in as many columns as fit.

    Args:
        width: of the picture in pixels; it is as high as it must be.
        more: how many classes are left out; told at the end.
    """
    names = [_short("(ignored)" if value == IGNORE else classes[value]) for value in shown]
    names += [f"and {more} more"] if more else []
    font = ImageFont.load_default(_FONT)
    step = _SWATCH + _SPACE + max(round(font.getlength(name)) for name in names) + _GAP
    columns = max(1, (width + _GAP) // step)
    picture = Image.new("RGB", (width, -(-len(names) // columns) * _LINE), PAPER)
    draw = ImageDraw.Draw(picture)
    for place, name in enumerate(names):
        left, top = place % columns * step, place // columns * _LINE
        if place < len(shown):
            swatch = (left, top, left + _SWATCH, top + _SWATCH)
            draw.rectangle(swatch, fill=colours(palette)[shown[place]], outline=FRAME)
        text = (left + _SWATCH + _SPACE, top + _SWATCH / 2)
        draw.text(text, name, INK, font, anchor="lm")
    return picture


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
