"""The legend of panels and contact sheets: every class beside its own colour, within the width."""

import numpy as np
from PIL import Image

from afdcd.data.catalog.datasets import ADE20K, SYNTHETIC
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.show.legend import PAPER, legend


def _colours(picture: Image.Image) -> set[tuple[int, ...]]:
    return set(map(tuple, np.asarray(picture).reshape(-1, 3).tolist()))


def test_shows_the_colours_of_the_given_classes_and_of_ignored_pixels() -> None:
    found = _colours(legend([0, 2, IGNORE], SYNTHETIC.classes, SYNTHETIC.palette, 600))
    assert {SYNTHETIC.palette[0], SYNTHETIC.palette[2], (0, 0, 0)} <= found
    assert SYNTHETIC.palette[1] not in found


def test_grows_in_height_and_never_in_width() -> None:
    """ADE20K's longest names are longer than a column of the sheet was."""
    wide, narrow = (
        legend(range(150), ADE20K.classes, ADE20K.palette, width, more=3) for width in (1500, 500)
    )
    assert (wide.width, narrow.width) == (1500, 500)
    assert narrow.height > 2 * wide.height
    for picture in (wide, narrow):
        edge = np.asarray(picture)[:, -2:]  # no name is cut off there
        assert (edge == PAPER).all()
