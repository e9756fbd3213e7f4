"""Masks made for pictures of another scale: seen by the sizes in the heads of the files."""

import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from afdcd.data.formats import FORMATS
from afdcd.data.images import PictureError
from afdcd.data.own.found import Item
from afdcd.data.places import Place, read

_ALIKE = 0.02  # sides are rounded to whole pixels


def scaled(root: Path, items: Iterable[Item]) -> str | None:
    """What to say where every mask differs from its picture by one and the same ratio.

    One mask of another size is that mask's fault, and judged with it.
    """
    ratios: list[float] = []
    shown = ""
    for item in items:
        picture, label = _size(root, item.image), _size(root, item.label)
        if picture is None or label is None:
            continue
        ratio = _ratio(picture, label)
        if ratio is None or any(abs(ratio / other - 1) > _ALIKE for other in ratios):
            return None
        ratios.append(ratio)
        shown = f"{item.label} {label[0]}x{label[1]} pixels, its picture {picture[0]}x{picture[1]}"
    if len(ratios) < 2:
        return None
    return (
        f"all masks differ from their pictures by the same ratio, {ratios[0]:.3g}, e.g. {shown}: a "
        "scaled set; take the pictures of that scale, or the masks as they were, for labels are "
        "never resized"
    )


def _ratio(picture: tuple[int, int], label: tuple[int, int]) -> float | None:
    """Of the masks' sides to the pictures'; None where they are equal or differ in shape."""
    across, down = label[0] / picture[0], label[1] / picture[1]
    return across if label != picture and abs(across / down - 1) <= _ALIKE else None


def _size(root: Path, place: Place | None) -> tuple[int, int] | None:
    """Width and height; None where judging will say why not."""
    if place is None:
        return None
    try:
        with Image.open(io.BytesIO(read(root, place)), formats=tuple(FORMATS)) as image:
            return image.size
    except (OSError, PictureError, ValueError, SyntaxError):
        return None
