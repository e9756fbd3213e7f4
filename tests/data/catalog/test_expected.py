from pathlib import Path

import pytest

from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.datasets import CAMVID, CITYSCAPES, VOC
from afdcd.data.catalog.expected import count_warnings, share_warnings
from afdcd.data.prepare.build import BuildOptions, build
from afdcd.data.raw.camvid import find_camvid


def _shares(dataset: Dataset, images: int, **shares: int) -> list[str]:
    """Warnings of a train split with these pixels per mille; class 1 has the rest."""
    names = (*dataset.classes, "ignored")
    counts = [shares.get(name, 0) for name in names]
    counts[1] += 1000 - sum(counts)
    return share_warnings(dataset, {"train": tuple(counts)}, {"train": images})


def test_plausible_shares_say_nothing() -> None:
    assert _shares(VOC, 10582, background=694, ignored=8) == []
    assert _shares(CITYSCAPES, 2975, road=320, ignored=115) == []


def test_labels_in_another_encoding_show() -> None:
    (warning,) = _shares(VOC, 10582, background=5)
    assert warning.startswith("train: 0.5% of the pixels are background, 65% to 75% expected")
    (warning,) = _shares(CITYSCAPES, 2975, ignored=0)
    assert "(ignored), 8% to 15% expected" in warning


def test_few_images_and_withheld_labels_say_nothing() -> None:
    assert _shares(VOC, 99, background=5) == []
    withheld = {"test": (*[0] * 19, 1000)}
    assert share_warnings(CITYSCAPES, withheld, {"test": 1525}) == []


def test_each_wrong_count_is_named() -> None:
    found = [*["train"] * 2975, *["val"] * 499]
    assert count_warnings(CITYSCAPES, found) == [
        "val has 499 images, published 500",
        "test has 0 images, published 1525",
    ]


def test_a_share_is_a_warning_of_the_report(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afdcd.data.catalog.expected._FEW", 5)
    _, report = build(str(tmp_path / "a"), CAMVID, find_camvid(raw, CAMVID), BuildOptions())
    assert any(line.startswith("train: ") and "Road" in line for line in report.warnings)
    assert not any(line.startswith("val: ") for line in report.warnings)
