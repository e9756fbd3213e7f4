from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.data.catalog.datasets import CAMVID
from afdcd.data.shards.described import dataset_at
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.show.histogram import histogram
from afdcd.data.show.sheet import _tiles, contact_sheet
from afdcd.data.show.summary import show
from tests.own_sets import prepare_own


@pytest.fixture
def only_roads(raw: Path) -> None:
    """Before `prepared` reads it: every train label is road, every other sky."""
    for split, value in (("train", 3), ("val", 0), ("test", 0)):
        for path in (raw / f"{split}annot").iterdir():
            Image.fromarray(np.full((24, 32), value, np.uint8)).save(path)


def _share(sheet: Image.Image, colour: tuple[int, int, int]) -> float:
    return float((np.asarray(sheet) == colour).all(axis=2).mean())


def test_labels_are_shown_in_class_colours_with_a_legend(only_roads: None, prepared: str) -> None:
    manifest = read_manifest(prepared)
    sheet = contact_sheet(prepared, manifest, CAMVID)
    road, sky, car = (CAMVID.palette[CAMVID.classes.index(n)] for n in ("Road", "Sky", "Car"))
    pixels = sheet.width * sheet.height
    assert _share(sheet, road) * pixels > 5 * 384 * 288  # as large as a panel allows, and a swatch
    assert _share(sheet, sky) * pixels > 4 * 384 * 288
    assert _share(sheet, car) == 0  # nothing of it in the labels, so nothing in the legend


def test_withheld_labels_are_left_out(only_roads: None, prepared: str) -> None:
    manifest = read_manifest(prepared)
    sky = CAMVID.palette[0]
    shown, withheld = (
        contact_sheet(prepared, manifest, replace(CAMVID, unlabelled=unlabelled))
        for unlabelled in ((), ("test",))
    )
    assert shown.size == withheld.size
    fewer = (_share(shown, sky) - _share(withheld, sky)) * shown.width * shown.height
    assert fewer == pytest.approx(2 * 384 * 288, rel=0.01)


def test_histogram_grows_with_the_classes(prepared: str, tmp_path: Path) -> None:
    """One line per class, or 171 of them could not be read."""
    manifest = read_manifest(prepared)
    heights = []
    for classes in (11, 171):
        names = tuple(f"class {number}" for number in range(classes))
        many = replace(CAMVID, classes=names, palette=((10, 20, 30),) * classes)
        pixels = {split: (*range(classes), 7) for split in manifest.pixels}
        path = tmp_path / f"{classes}.png"
        path.write_bytes(histogram(manifest.updated(pixels=pixels), many))
        heights.append(Image.open(path).height)
    assert heights[1] - heights[0] > 160 * 15


def test_unlabelled_pictures_are_shown_by_themselves_and_without_a_label(tmp_path: Path) -> None:
    root = prepare_own(tmp_path, "own", unlabelled=3)
    known = dataset_at(root, "own")
    tiles = list(_tiles(root, known, "unlabelled", 6))
    assert [tile.key for tile in tiles] == [
        f"unlabelled/extra{number}" for number in (100, 101, 102)
    ]
    assert all(tile.label is None for tile in tiles)
    assert not any("extra" in tile.key for tile in _tiles(root, known, "train", 20))
    assert "unlabelled 3" in show(root, str(tmp_path / "pictures"))
