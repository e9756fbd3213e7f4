"""A contact sheet: images of a prepared data set beside their coloured labels."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from afdcd.data.catalog import SPLITS, Dataset
from afdcd.data.manifest import Manifest
from afdcd.data.rows import open_split

_COLUMNS = 3
_TILE = (240, 180)


def contact_sheet(
    root: str, manifest: Manifest, dataset: Dataset, per_split: int = 6
) -> Image.Image:
    """`per_split` evenly spaced rows of each split; labels in the palette, ignored in black."""
    tiles = list(_tiles(root, manifest, dataset, per_split))
    lines = -(-len(tiles) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * 2 * _TILE[0], lines * _TILE[1]))
    for number, (image, label) in enumerate(tiles):
        left, top = number % _COLUMNS * 2 * _TILE[0], number // _COLUMNS * _TILE[1]
        sheet.paste(image, (left, top))
        sheet.paste(label, (left + _TILE[0], top))
    return sheet


def _tiles(
    root: str, manifest: Manifest, dataset: Dataset, per_split: int
) -> Iterator[tuple[Image.Image, Image.Image]]:
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[: len(dataset.palette)] = dataset.palette
    for split in SPLITS:
        if not manifest.rows(split):
            continue
        rows = open_split(root, dataset.name, "official", split)
        for index in np.linspace(0, len(rows) - 1, min(per_split, len(rows))).round().astype(int):
            _, image, label = rows[int(index)]
            coloured = Image.fromarray(colours[label]).resize(_TILE, Image.Resampling.NEAREST)
            yield Image.fromarray(image).resize(_TILE), coloured
