"""A whole set of masks of another scale is told once; a single one is that mask's own fault."""

from pathlib import Path

import pytest
from PIL import Image

from afdcd.data.own.found import Item
from afdcd.data.own.scale import scaled

SIZES = {"a": (64, 48), "b": (32, 24), "c": (100, 50)}


def _items(folder: Path, masks: dict[str, tuple[int, int]]) -> list[Item]:
    items = []
    for key, size in masks.items():
        for name, pixels in ((f"{key}.jpg", SIZES[key]), (f"{key}.png", size)):
            Image.new("L", pixels).save(folder / name)
        items.append(Item(key, f"{key}.jpg", f"{key}.png"))
    return items


def test_one_ratio_in_all_is_a_scaled_set(tmp_path: Path) -> None:
    items = _items(tmp_path, {"a": (32, 24), "b": (16, 12), "c": (50, 25)})
    told = scaled(tmp_path, items)
    assert told is not None
    assert "by the same ratio, 0.5, e.g. c.png 50x25 pixels, its picture 100x50" in told


@pytest.mark.parametrize(
    "masks",
    [
        {"a": (32, 24), "b": (32, 24)},  # one of them fits
        {"a": (32, 24), "b": (64, 48)},  # two ratios
        {"a": (48, 64), "b": (24, 32)},  # turned
        {"a": (32, 24)},  # one alone
    ],
)
def test_anything_else_is_judged_picture_by_picture(
    tmp_path: Path, masks: dict[str, tuple[int, int]]
) -> None:
    assert scaled(tmp_path, _items(tmp_path, masks)) is None
