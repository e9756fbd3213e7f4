"""Label maps as pictures for people: palette masks, overlays, comparison panels.

Axes: H W rows and columns. Images are RGB uint8, label maps hold train ids or IGNORE.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Integer, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from afdcd.data.catalog.train_ids import IGNORE, RGB
from afdcd.data.show.legend import FRAME, INK, PAPER, colours, legend
from afdcd.data.train.config import Normalisation
from afdcd.data.train.transforms import normalise

Picture: TypeAlias = UInt8[np.ndarray, "H W 3"]
LabelMap: TypeAlias = Integer[np.ndarray, "H W"]
PanelRow: TypeAlias = tuple[Picture, LabelMap, LabelMap | None, LabelMap]

TITLES = ("image", "ground truth", "teacher", "student")
MARGIN, GAP, CELL = 24, 12, 384
TITLE_SIZE, TITLE_HEIGHT = 20, 34
LEGEND_NAMES = 24
# Pixels tinted at a time: each needs 60 bytes, for a whole picture more than its network does.
BAND = 2**20


def denormalise(pixels: Float[Tensor, "3 H W"], name: Normalisation) -> Picture:
    """The image that `normalise(image, name)` was made from."""
    # Normalising is affine per channel, so its images of black and white say all but the order.
    black, white = (normalise(np.full((1, 1, 3), v, np.uint8), name) for v in (0, 255))
    values = (255 * (pixels.cpu() - black) / (white - black)).round().clamp(0, 255)
    channels = values.byte().numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(channels[:, :, ::-1] if name == "caffe" else channels)


def mask(labels: LabelMap, palette: Sequence[RGB]) -> Image.Image:
    """A palette picture (mode P): the pixel values are the train ids, the colours the classes'."""
    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette([channel for colour in colours(palette) for channel in colour])
    return picture


def overlay(
    image: Picture, labels: LabelMap, palette: Sequence[RGB], alpha: float = 0.5
) -> Image.Image:
    """The image tinted with the class colours; `alpha` 0 shows the image, 1 the mask.

    Ignored pixels keep the image's colour.
    """
    table, tinted = np.array(colours(palette), dtype=np.float32), np.empty_like(image)
    rows = max(1, BAND // image.shape[1])
    for top in range(0, len(image), rows):
        part, ids = image[top : top + rows], labels[top : top + rows]
        share = alpha * (ids != IGNORE)[:, :, None]
        tinted[top : top + rows] = (part + share * (table[ids] - part)).round()
    return Image.fromarray(tinted)


def panel(rows: Sequence[PanelRow], palette: Sequence[RGB], classes: Sequence[str]) -> Image.Image:
    """Rows of (image, truth, teacher or None, student) side by side, titled, with a legend.

    Cells are `CELL` pixels wide; the legend names the classes that cover most of the label maps,
    `LEGEND_NAMES` at most. The teacher's column is left out where no row has one.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("a panel needs at least one row")
    shown = [part for part in range(len(TITLES)) if any(row[part] is not None for row in rows)]
    heights = [max(1, round(CELL * len(image) / image.shape[1])) for image, *_ in rows]
    width = 2 * MARGIN + len(shown) * (CELL + GAP) - GAP
    key = _legend(rows, palette, classes, width - 2 * MARGIN)
    grid_bottom = MARGIN + TITLE_HEIGHT + sum(heights) + GAP * (len(rows) + 1)
    page = Image.new("RGB", (width, grid_bottom + key.height + MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    for column, part in enumerate(shown):
        draw.text((_left(column), MARGIN), TITLES[part], INK, ImageFont.load_default(TITLE_SIZE))
    top = MARGIN + TITLE_HEIGHT
    for row, height in zip(rows, heights, strict=True):
        for column, part in enumerate(shown):
            content = row[part]
            if content is not None:
                left = _left(column)
                page.paste(_cell(content, palette, (CELL, height)), (left, top))
                draw.rectangle((left - 1, top - 1, left + CELL, top + height), outline=FRAME)
        top += height + GAP
    page.paste(key, (MARGIN, grid_bottom))
    return page


def _left(column: int) -> int:
    return MARGIN + column * (CELL + GAP)


def _cell(
    content: Picture | LabelMap, palette: Sequence[RGB], size: tuple[int, int]
) -> Image.Image:
    if content.ndim == 3:
        return Image.fromarray(content).resize(size, Image.Resampling.LANCZOS)
    # Class colours must not blend at borders: a blend may be another class's colour.
    return mask(content, palette).resize(size, Image.Resampling.NEAREST).convert("RGB")


def _legend(
    rows: Sequence[PanelRow], palette: Sequence[RGB], classes: Sequence[str], width: int
) -> Image.Image:
    maps = [content.ravel() for row in rows for content in row[1:] if content is not None]
    seen, pixels = np.unique(np.concatenate(maps), return_counts=True)
    kept = sorted(seen[np.argsort(-pixels, kind="stable")[:LEGEND_NAMES]].tolist())
    return legend(kept, classes, palette, width, more=len(seen) - len(kept))
