"""Counts of what masks hold: they add up, and say which kind of mask it is."""

import numpy as np
import pytest
from PIL import Image

from afdcd.data.images import PictureError
from afdcd.data.own.mask_values import count_colours, count_numbers, is_coloured, is_gray_rgb
from tests.data.own.test_masks import gray, saved

VALUES = np.random.default_rng(0).choice(np.array([0, 3, 255], np.uint8), (1100, 7))


def _expected(values: np.ndarray) -> dict[int, int]:
    return {int(v): int((values == v).sum()) for v in np.unique(values)}


def test_numbers_of_all_bands_are_counted() -> None:
    rgb = Image.fromarray(np.stack([VALUES] * 3, axis=2))
    for image in (Image.fromarray(VALUES), Image.fromarray(VALUES).convert("I"), rgb):
        kind = "TIFF" if image.mode == "I" else "PNG"
        counts = count_numbers(saved(image, kind))
        assert counts == _expected(VALUES)
        assert list(counts) == sorted(counts)


def test_numbers_below_zero_and_beyond_16_bits_are_shown() -> None:
    assert count_numbers(gray(-1, 70000, 70000, dtype=np.int32, kind="TIFF")) == {-1: 1, 70000: 2}


def test_palette_counts_by_index_and_by_colour() -> None:
    image = Image.fromarray(np.array([[0, 1, 1]], np.uint8)).convert("P")
    image.putpalette([9, 9, 9, 200, 0, 0])
    data = saved(image)
    assert count_numbers(data) == {0: 1, 1: 2}
    assert count_colours(data) == {(200, 0, 0): 2, (9, 9, 9): 1}
    assert not is_coloured(data)


def test_colours_of_all_bands_are_counted_the_most_frequent_first() -> None:
    pixels = np.zeros((1100, 2, 3), np.uint8)
    pixels[-700:] = 1, 2, 3
    counts = count_colours(saved(Image.fromarray(pixels)))
    assert list(counts.items()) == [((1, 2, 3), 1400), ((0, 0, 0), 800)]


@pytest.mark.parametrize(
    ("colour", "coloured"), [((7, 7, 7), False), ((7, 7, 8), True), ((8, 7, 7), True)]
)
def test_only_what_is_not_gray_is_coloured(colour: tuple[int, int, int], coloured: bool) -> None:
    for mode in ("RGB", "RGBA"):
        data = saved(Image.new("RGB", (3, 700), colour).convert(mode))
        assert is_coloured(data) is coloured
        assert is_gray_rgb(data) is not coloured
    assert not is_gray_rgb(gray(7))


def test_numbers_of_colours_and_the_reverse_are_refused() -> None:
    with pytest.raises(PictureError, match="no single number per pixel"):
        count_numbers(saved(Image.new("RGB", (1, 1), (1, 2, 3))))
    with pytest.raises(PictureError, match="no colours"):
        count_colours(gray(1, dtype=np.uint16))
