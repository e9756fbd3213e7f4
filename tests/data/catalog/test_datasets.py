from pathlib import Path

import pytest
from cityscapesscripts.helpers.labels import labels as cityscapes_labels

from afdcd.config import UserError, validate
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.datasets import (
    ADE20K,
    CAMVID,
    CITYSCAPES,
    COCO_STUFF,
    COCO_STUFF_172,
    COCO_STUFF_182,
    DATASETS,
    VOC,
    dataset_named,
)
from afdcd.data.catalog.splits import PROTOCOLS, SPLITS
from afdcd.data.catalog.tables import camvid_frames
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.train.config import DataConfig
from tests.data.raw.layouts import voc_colour

BY_DATASET = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)


@BY_DATASET
def test_tables_fit_together(dataset: Dataset) -> None:
    classes = range(len(dataset.classes))
    assert len({name.strip() for name in dataset.classes}) == len(dataset.palette) == len(classes)
    assert set(dataset.raw_to_train.values()) - {IGNORE} == set(classes)
    assert dataset.ignored_colour not in dataset.palette
    assert dataset.report not in dataset.unlabelled
    raws = {raw for raw, train in dataset.raw_to_train.items() if train != IGNORE}
    assert {dataset.train_to_raw[train] for train in classes} == raws


def test_cityscapes_is_what_its_own_tools_say() -> None:
    for label in cityscapes_labels:
        if label.id < 0:
            continue
        assert CITYSCAPES.raw_to_train[label.id] == label.trainId, label
        if label.trainId != IGNORE:
            assert CITYSCAPES.classes[label.trainId] == label.name
            assert CITYSCAPES.palette[label.trainId] == label.color
    assert IGNORE not in CITYSCAPES.raw_to_train  # would hide that a file holds train ids


def test_voc_colours_are_the_devkits() -> None:
    assert VOC.palette == tuple(voc_colour(index) for index in range(21))
    assert VOC.ignored_colour == voc_colour(IGNORE)


def test_ade20k_numbers_start_at_one() -> None:
    assert ADE20K.raw_to_train == {0: IGNORE, **{value: value - 1 for value in range(1, 151)}}


def test_coco_stuff_counts_its_classes_in_three_ways() -> None:
    """Ends of the runs of values that open-mmlab/mmsegmentation's converter maps."""
    ends = {0: 0, 10: 10, 12: 11, 24: 23, 26: 24, 43: 39, 45: 40, 64: 59, 66: 60, 69: 61, 71: 62}
    ends |= {81: 72, 83: 73, 89: 79, 91: 80, 181: 170}
    absent = {11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90}
    for stuff in (COCO_STUFF, COCO_STUFF_172):
        assert {raw: stuff.raw_to_train[raw] for raw in ends} == ends
        assert {raw for raw in range(182) if stuff.raw_to_train[raw] == IGNORE} == absent
        assert not stuff.absent
    assert COCO_STUFF.raw_to_train[255] == IGNORE
    assert COCO_STUFF_172.raw_to_train[255] == 171
    assert COCO_STUFF_182.raw_to_train == {**{raw: raw for raw in range(182)}, 255: IGNORE}
    assert COCO_STUFF_182.absent == absent


def test_camvid_void_is_ignored() -> None:
    assert CAMVID.raw_to_train[11] == IGNORE
    assert [CAMVID.raw_to_train[i] for i in range(11)] == list(range(11))


def test_a_name_of_no_catalog_is_that_of_a_persons_own_set(tmp_path: Path) -> None:
    """It may be a slip, which can be told only where the set should be."""
    assert DataConfig(dataset="drone-7", root=str(tmp_path), crop=(64, 64)).dataset == "drone-7"
    with pytest.raises(UserError, match=r"custom .*--name camvd`; or is it 'camvid'\?"):
        read_manifest(str(tmp_path), "camvd")
    with pytest.raises(UserError, match="letters, digits"):
        validate(DataConfig, {"dataset": "a/b", "root": "x", "crop": [64, 64]})


def test_unknown_name_lists_the_right_ones() -> None:
    with pytest.raises(UserError, match="'camvd' is no data set; known: synthetic, camvid"):
        dataset_named("camvd")


def test_official_protocol_takes_splits_as_published() -> None:
    assert [CAMVID.role("official", split, "0006R0_f00930") for split in SPLITS] == list(SPLITS)


@pytest.mark.parametrize(
    ("split", "key", "role"),
    [
        ("train", "0001TP_006690", "train"),
        ("train", "0016E5_00390", "train"),
        ("train", "0006R0_f00930", "val"),
        ("val", "0016E5_07959", None),
        ("test", "Seq05VD_f00000", "test"),
    ],
)
def test_dev_protocol_of_camvid(split: str, key: str, role: str | None) -> None:
    assert CAMVID.role("dev", split, key) == role


@pytest.mark.parametrize("protocol", PROTOCOLS)
@BY_DATASET
def test_one_split_reports_and_nothing_else_does(dataset: Dataset, protocol: str) -> None:
    reports = "test" if protocol == "official" else dataset.report
    for split, key in (("train", "train0004_0"), ("val", "val0004_0"), ("test", "test0004_0")):
        assert (dataset.role(protocol, split, key) == "test") == (split == reports)


@BY_DATASET
def test_held_out_share_is_neither_all_nor_nothing(dataset: Dataset) -> None:
    cities = ("bremen", "darmstadt", "ulm", "aachen", "bochum", "cologne", "erfurt", "hamburg")
    keys = {
        "synthetic": [f"train{scene:04d}_0" for scene in range(200)],
        "camvid": camvid_frames("train"),
        "cityscapes": [f"{city}_000000_000019" for city in cities],
    }.get(dataset.name, [f"{number:012d}" for number in range(3000)])
    held = sum(dataset.role("dev", "train", key) == "val" for key in keys)
    assert 1 / 30 < held / len(keys) < 2 / 5


def test_dev_protocol_never_splits_a_synthetic_scene() -> None:
    synthetic = DATASETS["synthetic"]
    for scene in range(20):
        roles = {synthetic.role("dev", "train", f"train{scene:04d}_{i}") for i in range(6)}
        assert roles == ({"val"} if scene % 5 == 4 else {"train"})


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_what_dev_holds_out_is_known_in_number(dataset: Dataset) -> None:
    """The plan reckons validations by it before anything is prepared."""
    assert 0 < dataset.held_out_share < 0.5
