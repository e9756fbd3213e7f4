"""A contact sheet: images of a prepared data set beside their coloured labels, with a legend."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from afdcd.data.catalog.datasets import SPLITS, Dataset, Split
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.shards.manifest import Manifest
from afdcd.data.shards.rows import open_split

_PANEL = (384, 288)  # the largest an image or a label becomes: width, height in pixels
_COLUMNS = 2
_GAP, _LINE, _TITLE = 12, 22, 34
_SWATCH, _ENTRY = 16, 196  # side of a colour, width of a legend's entry
_WIDTH = _COLUMNS * 2 * _PANEL[0] + (_COLUMNS + 1) * _GAP
_PAPER, _INK = (255, 255, 255), (20, 20, 20)


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
        for split in SPLITS
        if manifest.rows(split)
    }
    shown = sorted(frozenset().union(*(tile.classes for part in tiles.values() for tile in part)))
    blocks = [_legend(dataset, shown)]
    blocks += [_block(split, manifest.rows(split), part) for split, part in tiles.items()]
    sheet = Image.new("RGB", (_WIDTH, sum(block.height for block in blocks)), _PAPER)
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    return sheet


def _tiles(root: str, dataset: Dataset, split: Split, count: int) -> Iterator[_Tile]:
    colours = np.empty((256, 3), dtype=np.uint8)
    colours[:] = dataset.ignored_colour
    colours[: len(dataset.palette)] = dataset.palette
    rows = open_split(root, dataset.name, "official", split)
    for index in np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int):
        key, image, label = rows[int(index)]
        picture = _fit(image, Image.Resampling.BOX)
        if split in dataset.unlabelled:
            yield _Tile(key, picture, None, frozenset())
            continue
        small = np.asarray(_fit(label, Image.Resampling.NEAREST))
        classes = frozenset(np.unique(label).tolist())
        yield _Tile(key, picture, Image.fromarray(colours[small]), classes)


def _fit(pixels: UInt8[np.ndarray, "..."], how: Image.Resampling) -> Image.Image:
    """As large as a panel allows, with its own ratio of sides."""
    height, width = pixels.shape[:2]
    scale = min(_PANEL[0] / width, _PANEL[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(pixels).resize(size, how)


def _block(split: Split, rows: int, tiles: Sequence[_Tile]) -> Image.Image:
    lines = [tiles[start : start + _COLUMNS] for start in range(0, len(tiles), _COLUMNS)]
    heights = [max(tile.height for tile in line) for line in lines]
    block = Image.new("RGB", (_WIDTH, _TITLE + sum(heights)), _PAPER)
    draw = ImageDraw.Draw(block)
    draw.text((_GAP, 6), f"{split}: {len(tiles)} of {rows}", _INK, ImageFont.load_default(20))
    top = _TITLE
    for line, height in zip(lines, heights, strict=True):
        for column, tile in enumerate(line):
            left = _GAP + column * (2 * _PANEL[0] + _GAP)
            draw.text((left, top + 3), tile.key, _INK, ImageFont.load_default(14))
            block.paste(tile.image, (left, top + _LINE))
            if tile.label:
                block.paste(tile.label, (left + tile.image.width, top + _LINE))
        top += height
    return block


def _legend(dataset: Dataset, shown: Sequence[int]) -> Image.Image:
    classes = [index for index in shown if index < len(dataset.classes)]
    entries = [(dataset.classes[index], dataset.palette[index]) for index in classes]
    if IGNORE in shown:
        entries.append(("(ignored)", dataset.ignored_colour))
    per_line = (_WIDTH - 2 * _GAP) // _ENTRY
    lines = -(-len(entries) // per_line)
    block = Image.new("RGB", (_WIDTH, _TITLE + lines * _LINE + _GAP), _PAPER)
    draw = ImageDraw.Draw(block)
    title = (
        f"{dataset.name}: {len(classes)} of {len(dataset.classes)} classes are in the labels below"
    )
    draw.text((_GAP, 6), title, _INK, ImageFont.load_default(20))
    for number, (name, colour) in enumerate(entries):
        left = _GAP + number % per_line * _ENTRY
        top = _TITLE + number // per_line * _LINE
        box = (left, top + 2, left + _SWATCH, top + 2 + _SWATCH)
        draw.rectangle(box, colour, outline=(128, 128, 128))
        draw.text((left + _SWATCH + 6, top + 2), _short(name), _INK, ImageFont.load_default(14))
    return block


def _short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
