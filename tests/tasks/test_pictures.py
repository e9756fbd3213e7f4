"""Pictures say what the arrays say: exact indices, exact colours, the right columns."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.data.catalog.datasets import COCO_STUFF, VOC
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.train.config import NORMALISATIONS, Normalisation
from afdcd.data.train.transforms import normalise
from afdcd.tasks.pictures import CELL, GAP, MARGIN, PanelRow, denormalise, mask, overlay, panel

PALETTE = ((200, 10, 10), (10, 200, 10), (10, 10, 200))
CLASSES = ("road", "tree", "sky")


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_denormalise_gives_back_every_pixel(name: Normalisation) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    assert np.array_equal(denormalise(normalise(image, name), name), image)


def test_mask_file_holds_train_ids_in_class_colours(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [2, IGNORE, 0]])
    mask(labels, PALETTE).save(tmp_path / "mask.png")
    picture = Image.open(tmp_path / "mask.png")
    assert picture.mode == "P"
    assert np.array_equal(np.asarray(picture), labels)
    colours = np.asarray(picture.convert("RGB"))
    assert tuple(colours[0, 2]) == PALETTE[2]
    assert tuple(colours[1, 1]) == (0, 0, 0)


def test_overlay_tints_classes_and_keeps_ignored_pixels() -> None:
    image = np.full((1, 2, 3), 100, dtype=np.uint8)
    labels = np.array([[0, IGNORE]], dtype=np.uint8)
    tinted = np.asarray(overlay(image, labels, PALETTE, 0.5))
    assert tinted.tolist() == [[[150, 55, 55], [100, 100, 100]]]
    assert np.array_equal(np.asarray(overlay(image, labels, PALETTE, 0.0)), image)
    assert tuple(np.asarray(overlay(image, labels, PALETTE, 1.0))[0, 0]) == PALETTE[0]


def test_panel_shows_truth_teacher_and_student_in_their_columns() -> None:
    page = panel([_row(truth=0, teacher=1, student=2)], PALETTE, CLASSES)
    centres = [page.getpixel((_centre(column), 100)) for column in range(4)]
    assert centres == [(90, 90, 90), *PALETTE]


def test_panel_without_teacher_has_three_columns() -> None:
    page = panel([_row(truth=0, teacher=None, student=2)], PALETTE, CLASSES)
    assert page.width == 2 * MARGIN + 3 * CELL + 2 * GAP
    assert page.getpixel((_centre(2), 100)) == PALETTE[2]


def test_panel_leaves_the_cell_of_a_missing_teacher_empty() -> None:
    rows = [_row(truth=0, teacher=None, student=2), _row(truth=0, teacher=1, student=2)]
    page = panel(rows, PALETTE, CLASSES)
    assert page.getpixel((_centre(2), 100)) == (255, 255, 255)
    assert page.getpixel((_centre(3), 100)) == PALETTE[2]


def test_legend_names_the_classes_that_occur() -> None:
    row = _row(truth=IGNORE, teacher=None, student=2)
    legend = _legend_colours(panel([row], PALETTE, CLASSES))
    assert {PALETTE[2], (0, 0, 0)} <= legend
    assert not {PALETTE[0], PALETTE[1]} & legend


def test_ignored_pixels_are_not_black_where_a_class_is(tmp_path: Path) -> None:
    """VOC's background and COCO-Stuff's handbag are black."""
    labels = np.array([[0, IGNORE]])
    colours = np.asarray(mask(labels, VOC.palette).convert("RGB"))
    assert colours[0, 0].tolist() == [0, 0, 0]
    assert tuple(colours[0, 1]) == VOC.ignored_colour == (224, 224, 192)
    row = _row(truth=IGNORE, teacher=None, student=2)
    assert panel([row], VOC.palette, VOC.classes).getpixel((_centre(1), 100)) == (224, 224, 192)


def test_legend_of_many_classes_names_those_that_cover_most() -> None:
    truth = np.repeat(np.arange(171), np.arange(171) + 1)[None]  # class i on i + 1 pixels
    picture = np.full((*truth.shape, 3), 90, dtype=np.uint8)
    row: PanelRow = (picture, truth, None, truth)
    page = panel([row], COCO_STUFF.palette, COCO_STUFF.classes)
    grid_bottom = MARGIN + 34 + 1 + GAP  # the cells are one pixel high
    pixels = np.asarray(page.crop((0, grid_bottom, *page.size))).reshape(-1, 3)
    counts = Counter(map(tuple, pixels.tolist()))
    legend = {colour for colour, count in counts.items() if count > 200}  # swatches, not letters
    shown = [index for index, colour in enumerate(COCO_STUFF.palette) if colour in legend]
    assert shown == list(range(171 - 24, 171))
    assert page.height < grid_bottom + 400


def test_label_colours_never_blend_at_borders() -> None:
    image, truth, _, student = _row(truth=0, teacher=None, student=2)
    truth[:, ::2] = 1
    page = np.asarray(panel([(image, truth, None, student)], PALETTE, CLASSES))
    cell = page[100:200, _centre(1) - 100 : _centre(1) + 100].reshape(-1, 3)
    assert {tuple(colour) for colour in cell.tolist()} == {PALETTE[0], PALETTE[1]}


def test_panel_rejects_no_rows() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        panel([], PALETTE, CLASSES)


def _row(*, truth: int, teacher: int | None, student: int) -> PanelRow:
    shape = (30, 40)
    maps = [None if c is None else np.full(shape, c) for c in (truth, teacher, student)]
    return np.full((*shape, 3), 90, dtype=np.uint8), *maps


def _centre(column: int) -> int:
    return MARGIN + column * (CELL + GAP) + CELL // 2


def _legend_colours(page: Image.Image) -> set[tuple[int, ...]]:
    grid_bottom = MARGIN + 34 + CELL * 30 // 40 + GAP
    pixels = np.asarray(page.crop((0, grid_bottom, *page.size))).reshape(-1, 3)
    return {tuple(colour) for colour in pixels.tolist()}
