"""Exported predictions: names, folders, values and colours that each data set's own tools expect."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.catalog.datasets import DATASETS, VOC
from afdcd.tasks.export import Exporter


@pytest.mark.parametrize(
    ("dataset", "file", "trains", "raws"),
    [
        ("cityscapes", "{key}_pred_labelIds.png", [0, 5, 16, 18], [7, 17, 31, 33]),
        ("voc", "results/VOC2012/Segmentation/comp6_test_cls/{key}.png", [0, 20], [0, 20]),
        ("ade20k", "{key}.png", [0, 149], [1, 150]),
        ("coco_stuff", "{key}.png", [0, 11, 170], [0, 12, 181]),
        ("coco_stuff_172", "{key}.png", [170, 171], [181, 255]),
        ("coco_stuff_182", "{key}.png", [0, 12, 181], [0, 12, 181]),
        ("camvid", "{key}.png", [0, 10], [0, 10]),
        ("synthetic", "{key}.png", [0, 7], [0, 7]),
    ],
)
def test_values_are_those_of_the_label_files(
    dataset: str, file: str, trains: list[int], raws: list[int], tmp_path: Path
) -> None:
    exporter = Exporter(str(tmp_path), DATASETS[dataset], "test")
    exporter.write("berlin_000000_000019", np.array([trains, trains[::-1]]))
    picture = Image.open(tmp_path / file.format(key="berlin_000000_000019"))
    assert np.asarray(picture).tolist() == [raws, raws[::-1]]
    assert picture.mode == ("P" if dataset == "voc" else "L")
    assert exporter.count == 1


def test_voc_has_the_colours_of_its_devkit(tmp_path: Path) -> None:
    Exporter(str(tmp_path), VOC, "val").write("2007_000033", np.array([[0, 1, 15]]))
    file = tmp_path / "results/VOC2012/Segmentation/comp6_val_cls/2007_000033.png"
    colours = np.asarray(Image.open(file).convert("RGB"))[0].tolist()
    assert colours == [[0, 0, 0], [128, 0, 0], [192, 128, 128]]


def test_a_second_run_leaves_equal_files_and_no_others(tmp_path: Path) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    for _ in range(2):
        exporter = Exporter(str(tmp_path), DATASETS["ade20k"], "val")
        exporter.write("a", np.array([[1, 2]]))
        exporter.write("b", np.array([[3, 4]]))
        first = files()
    assert files() == first
    assert {path.name for path in first} == {"a.png", "b.png"}


@pytest.mark.parametrize("key", ["../a", "/a", "x/../../a"])
def test_a_key_that_leads_out_of_the_folder_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot name a prediction"):
        Exporter(str(tmp_path / "out"), DATASETS["camvid"], "test").write(
            key, np.zeros((1, 1), int)
        )
    assert not list(tmp_path.rglob("*.png"))
