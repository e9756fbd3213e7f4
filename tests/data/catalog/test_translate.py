"""Editions of a data set and what a protocol leaves: who may be scored on what, and what reports."""

import pytest
import torch

from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.datasets import (
    CAMVID,
    CITYSCAPES,
    COCO_STUFF,
    COCO_STUFF_172,
    COCO_STUFF_182,
    DATASETS,
    SYNTHETIC,
    VOC,
)
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.catalog.translate import translation


def test_a_network_with_182_outputs_reads_171_labels_by_their_raw_values() -> None:
    labels = translation(COCO_STUFF, COCO_STUFF_182)
    given = torch.tensor([[0, 10, 11, 170, IGNORE]])
    assert labels(given).tolist() == [[0, 10, 12, 181, IGNORE]]
    assert labels.absent == COCO_STUFF_182.absent
    assert len(labels.absent) == 11


def test_a_network_with_171_outputs_is_not_scored_on_182_classes() -> None:
    with pytest.raises(
        UserError, match=r"lacks 11 \(street sign, hat, shoe, eye glasses, \.\.\.\)"
    ):
        translation(COCO_STUFF_182, COCO_STUFF)


def test_what_only_the_network_knows_is_absent() -> None:
    labels = translation(COCO_STUFF, COCO_STUFF_172)
    assert labels.absent == {171}  # "unlabeled", which 171 classes ignore
    assert labels(torch.tensor([170, IGNORE])).tolist() == [170, IGNORE]


def test_the_same_classes_keep_their_labels() -> None:
    given = torch.tensor([0, 18, IGNORE])
    labels = translation(CITYSCAPES, CITYSCAPES)
    assert labels(given) is given
    assert labels.absent == frozenset()
    assert translation(COCO_STUFF_182, COCO_STUFF_182).absent == COCO_STUFF_182.absent


def test_another_data_set_is_refused_even_where_raw_values_overlap() -> None:
    with pytest.raises(UserError, match="synthetic has 8 classes"):
        translation(SYNTHETIC, VOC)  # 0..7 are raw values of both


@pytest.mark.parametrize("name", DATASETS)
def test_dev_always_reports_on_labelled_rows(name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.reports("dev")
    assert dataset.labelled("dev", "val")
    assert dataset.labelled("dev", "test")


def test_official_reports_where_the_test_labels_are_public() -> None:
    reporting = {name for name, dataset in DATASETS.items() if dataset.reports("official")}
    assert reporting == {"synthetic", "camvid"}
    assert CITYSCAPES.labelled("official", "val")
    assert not CITYSCAPES.labelled("official", "test")


def test_the_published_split_behind_a_role() -> None:
    assert CITYSCAPES.published("official", "test") == "test"
    assert CITYSCAPES.published("dev", "test") == "val"
    assert CITYSCAPES.published("dev", "val") == "train"
    assert CAMVID.published("dev", "test") == "test"


def _own(name: str, *classes: str) -> Dataset:
    palette = tuple((number, 0, 0) for number in range(len(classes)))
    table = {10 * number: number for number in range(len(classes))}
    return Dataset(name, classes, palette, table, {}, None, bool)


def test_data_sets_that_people_bring_share_names_not_values() -> None:
    """The number 10 may be a car here and a tree there."""
    labels = translation(_own("a", "car", "tree"), _own("b", "tree", "sky", "car"))
    assert labels(torch.tensor([0, 1, IGNORE])).tolist() == [2, 0, IGNORE]
    assert labels.absent == {1}
    with pytest.raises(UserError, match=r"lacks 1 \(road\)"):
        translation(_own("a", "car", "road"), _own("b", "tree", "car"))
