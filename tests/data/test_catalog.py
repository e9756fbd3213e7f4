from typing import get_args

import pytest

from afdcd.config import UserError
from afdcd.data.catalog import CAMVID, DATASETS, IGNORE, PROTOCOLS, SPLITS, Dataset, dataset_named
from afdcd.data.loader import DataConfig


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_tables_fit_together(dataset: Dataset) -> None:
    classes = range(len(dataset.classes))
    assert len(set(dataset.palette)) == len(set(dataset.classes)) == len(classes)
    assert set(dataset.raw_to_train.values()) == {*classes, IGNORE}
    assert (0, 0, 0) not in dataset.palette  # black stands for ignored in pictures


def test_camvid_void_is_ignored() -> None:
    assert CAMVID.raw_to_train[11] == IGNORE
    assert [CAMVID.raw_to_train[i] for i in range(11)] == list(range(11))


def test_config_knows_exactly_these_data_sets() -> None:
    assert set(get_args(DataConfig.model_fields["dataset"].annotation)) == set(DATASETS)


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
@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_test_rows_are_test_rows_only(dataset: Dataset, protocol: str) -> None:
    for split, key in (("train", "train0004_0"), ("val", "val0004_0"), ("test", "test0004_0")):
        assert (dataset.role(protocol, split, key) == "test") == (split == "test")


def test_dev_protocol_never_splits_a_synthetic_scene() -> None:
    synthetic = DATASETS["synthetic"]
    for scene in range(20):
        roles = {synthetic.role("dev", "train", f"train{scene:04d}_{i}") for i in range(6)}
        assert roles == ({"val"} if scene % 5 == 4 else {"train"})
