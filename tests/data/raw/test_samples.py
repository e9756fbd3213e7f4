"""The finders on real files: every layout is found, and every label is understood."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from afdcd.config import UserError
from afdcd.data.catalog.datasets import dataset_named
from afdcd.data.pairs import Layout
from afdcd.data.raw import FINDERS
from tests.samples import CAMVID, SAMPLES, needs_samples

pytestmark = needs_samples

DATUMARO = SAMPLES / "layout_fixtures_datumaro"
DEVKIT = "VOCdevkit/VOC2012"


def _find(source: Path, dataset: str) -> Layout:
    return FINDERS[dataset](source, dataset_named(dataset))


def _labels(layout: Layout) -> dict[str, np.ndarray]:
    return {
        pair.key: layout.encoding.train_ids((layout.folder / pair.label).read_bytes())
        for pair in layout.pairs
        if pair.label
    }


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A copy that may be changed."""
    copy = tmp_path / "voc2012"
    shutil.copytree(SAMPLES / "voc2012", copy, copy_function=shutil.copyfile)
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    return copy


@pytest.mark.parametrize(
    ("dataset", "source", "counts"),
    [
        ("camvid", CAMVID, "367/101/233"),
        ("camvid", DATUMARO / "camvid_dataset", "1/1/2"),
        ("cityscapes", DATUMARO / "cityscapes_dataset/dataset", "1/1/2"),
        ("voc", SAMPLES / "voc2012", "13/6/0"),
        ("voc", DATUMARO / "voc_dataset/voc_dataset1", "1/0/1"),
        ("ade20k", SAMPLES / "ade20k", "3/3/0"),
        ("ade20k", SAMPLES / "ade20k/ADEChallengeData2016", "3/3/0"),
        ("ade20k", DATUMARO / "ade20k2017_dataset", "1/1/0"),
        ("ade20k", DATUMARO / "ade20k2020_dataset", "1/1/0"),
        ("coco_stuff", SAMPLES / "coco", "13/0/0"),
        ("coco_stuff_172", SAMPLES, "13/0/0"),
        ("coco_stuff_182", SAMPLES, "13/0/0"),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_real_layout_is_found_and_each_label_understood(
    dataset: str, source: Path, counts: str
) -> None:
    layout = _find(source, dataset)
    assert f"{counts} images" in layout.name
    assert all((layout.folder / pair.image).is_file() for pair in layout.pairs)
    assert layout.unlisted == ()
    labels = _labels(layout)
    assert len(labels) == sum(pair.label is not None for pair in layout.pairs)
    classes = len(dataset_named(dataset).classes)
    assert all(np.all((ids < classes) | (ids == 255)) for ids in labels.values())


def test_voc_means_the_same_in_gray_and_in_palette(voc: Path) -> None:
    before = _labels(_find(voc, "voc"))
    for folder in ("SegmentationClass", "SegmentationClassAug"):
        shutil.rmtree(voc / DEVKIT / folder)
    (voc / DEVKIT / "SegmentationClassAug_gray").rename(voc / DEVKIT / "SegmentationClassAug")
    after = _labels(_find(voc, "voc"))
    assert before.keys() == after.keys()
    for key, ids in before.items():
        np.testing.assert_array_equal(ids, after[key], err_msg=key)


def test_voc_means_the_same_in_sbds_mat_files(voc: Path) -> None:
    before = _labels(_find(voc, "voc"))
    for folder in ("SegmentationClassAug", "SegmentationClassAug_gray"):
        shutil.rmtree(voc / DEVKIT / folder)
    for name in ("train_aug", "trainaug"):
        (voc / DEVKIT / "ImageSets/Segmentation" / f"{name}.txt").unlink()
    layout = _find(voc, "voc")
    mats = {pair.key for pair in layout.pairs if str(pair.label).endswith(".mat")}
    assert mats == {"2008_001461", "2009_001605", "2010_000968"}
    for key, ids in _labels(layout).items():
        np.testing.assert_array_equal(ids, before[key], err_msg=key)


def test_voc_list_of_paths(voc: Path) -> None:
    lists = voc / DEVKIT / "ImageSets/Segmentation"
    before = _find(voc, "voc").pairs
    for name in ("train_aug", "trainaug"):
        (lists / f"{name}.txt").unlink()
    (lists.parent / "SegmentationAug").mkdir()
    (voc / "lists_slash_style/train_aug.txt").rename(lists.parent / "SegmentationAug/train_aug.txt")
    assert _find(voc, "voc").pairs == before


def test_cityscapes_fixture_tells_instances_from_stuff() -> None:
    labels = _labels(_find(DATUMARO / "cityscapes_dataset/dataset", "cityscapes"))
    (train,) = (ids for key, ids in labels.items() if key == "defaultcity_000002_000045")
    assert set(train.ravel().tolist()) == {255, 11}  # 3 = out of roi, 24001 = the first person


def test_full_ade20k_maps_to_the_challenge_classes_and_no_others() -> None:
    layout = _find(DATUMARO / "ade20k2020_dataset", "ade20k")
    for ids in _labels(layout).values():  # 401 = car, 1831 = person, and nothing
        assert set(ids.ravel().tolist()) == {20, 12, 255}
    assert "full edition" in layout.name


def test_stuff_annotations_as_json_are_no_label_images() -> None:
    with pytest.raises(UserError, match=r"not COCO-Stuff-164K: looked for train2017/ \(missing\)"):
        _find(DATUMARO / "coco_dataset" / "coco_stuff", "coco_stuff")
