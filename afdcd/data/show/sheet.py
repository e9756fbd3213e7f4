"""A contact sheet: images of a prepared data set beside their coloured labels, with a legend."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.splits import ALL_SPLITS, UNLABELLED, Split
from afdcd.data.shards.manifest import Manifest
from afdcd.data.shards.rows import open_split
from afdcd.data.show.legend import INK, PAPER, colours, legend

_PANEL = (384, 288)  # the largest an image or a label becomes: width, height in pixels
_COLUMNS = 2
_GAP, _LINE, _TITLE = 12, 22, 34
_WIDTH = _COLUMNS * 2 * _PANEL[0] + (_COLUMNS + 1) * _GAP


@dataclass(frozen=True, slots=True)
class _Tile:
    """One row; `label` is None where labels are withheld."""

    key: str
    image: Image.Image
    label: Image.Image | None
    classes: frozenset[int]

    @property
    def height(self) -> int:
        return _LINE + self.image.height + _GAP


def contact_sheet(
    root: str, manifest: Manifest, dataset: Dataset, per_split: int = 6
) -> Image.Image:
    """`per_split` evenly spaced rows of each split; labels of unlabelled splits are left out.

    Raises:
        UserError: a row cannot be read.
    """
    tiles = {
        split: list(_tiles(root, dataset, split, per_split))
        for split in ALL_SPLITS
        if manifest.rows(split)
    }
    shown = sorted(frozenset().union(*(tile.classes for part in tiles.values() for tile in part)))
    blocks = [_heading(dataset, shown)]
    blocks += [_block(split, manifest.rows(split), part) for split, part in tiles.items()]
    sheet = Image.new("RGB", (_WIDTH, sum(block.height for block in blocks)), PAPER)
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    return sheet


def _tiles(root: str, dataset: Dataset, split: Split, count: int) -> Iterator[_Tile]:
    palette = np.array(colours(dataset.palette), dtype=np.uint8)
    rows = open_split(root, dataset.name, "official", "train" if split == UNLABELLED else split)
    own = rows.unlabelled  # which train beside the labelled ones
    if split != UNLABELLED:
        own = np.setdiff1d(np.arange(len(rows)), own)
    for index in own[np.linspace(0, len(own) - 1, min(count, len(own))).round().astype(int)]:
        key, image, label = rows[int(index)]
        picture = _fit(image, Image.Resampling.BOX)
        if split in dataset.unlabelled:
            yield _Tile(key, picture, None, frozenset())
            continue
        small = np.asarray(_fit(label, Image.Resampling.NEAREST))
        classes = frozenset(np.unique(label).tolist())
        yield _Tile(key, picture, Image.fromarray(palette[small]), classes)


def _fit(pixels: UInt8[np.ndarray, "..."], how: Image.Resampling) -> Image.Image:
    """As large as a panel allows, with its own ratio of sides."""
    height, width = pixels.shape[:2]
    scale = min(_PANEL[0] / width, _PANEL[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(pixels).resize(size, how)


def _block(split: Split, rows: int, tiles: Sequence[_Tile]) -> Image.Image:
    lines = [tiles[start : start + _COLUMNS] for start in range(0, len(tiles), _COLUMNS)]
    heights = [max(tile.height for tile in line) for line in lines]
    block = Image.new("RGB", (_WIDTH, _TITLE + sum(heights)), PAPER)
    draw = ImageDraw.Draw(block)
    draw.text((_GAP, 6), f"{split}: {len(tiles)} of {rows}", INK, ImageFont.load_default(20))
    top = _TITLE
    for line, height in zip(lines, heights, strict=True):
        for column, tile in enumerate(line):
            left = _GAP + column * (2 * _PANEL[0] + _GAP)
            draw.text((left, top + 3), tile.key, INK, ImageFont.load_default(14))
            block.paste(tile.image, (left, top + _LINE))
            if tile.label:
                block.paste(tile.label, (left + tile.image.width, top + _LINE))
        top += height
    return block


def _heading(dataset: Dataset, shown: Sequence[int]) -> Image.Image:
    """The data set's name above the legend of the label values in `shown`."""
    entries = legend(shown, dataset.classes, dataset.palette, _WIDTH - 2 * _GAP)
    block = Image.new("RGB", (_WIDTH, _TITLE + entries.height + _GAP), PAPER)
    count = sum(value < len(dataset.classes) for value in shown)
    title = f"{dataset.name}: {count} of {len(dataset.classes)} classes are in the labels below"
    ImageDraw.Draw(block).text((_GAP, 6), title, INK, ImageFont.load_default(20))
    block.paste(entries, (_GAP, _TITLE))
    return block
