"""Scores of the confusion matrix: by hand, over ranks, invariances, the rule for absent classes."""

import math

import pytest
import torch
from torch import Tensor

from afdcd.data.catalog.train_ids import IGNORE
from afdcd.tasks.metric import ConfusionMatrix

CLASSES = 4


def test_equals_scores_worked_out_by_hand() -> None:
    matrix = _matrix(predicted=[0, 0, 1, 1, 1, 0], labels=[0, 0, 0, 1, 1, 1], classes=2)
    assert matrix.counts.tolist() == [[2, 1], [1, 2]]  # rows are labels
    assert matrix.iou().tolist() == [0.5, 0.5]
    assert matrix.pixel_accuracy == pytest.approx(4 / 6)


def test_rows_are_labels_and_columns_predictions() -> None:
    matrix = _matrix(predicted=[1, 1, 0], labels=[0, 0, 0], classes=2)
    assert matrix.counts.tolist() == [[1, 2], [0, 0]]
    assert matrix.mean_accuracy == pytest.approx(1 / 3)  # class 1 is labelled nowhere


def test_ignored_pixels_count_nowhere() -> None:
    matrix = _matrix(predicted=[0, 1, 1], labels=[0, IGNORE, 1], classes=2)
    assert matrix.counts.sum() == 2
    assert matrix.miou == 1.0


def test_absent_class_is_left_out_of_the_mean_instead_of_counting_as_0() -> None:
    matrix = _matrix(predicted=[0, 0], labels=[0, 0], classes=3)
    assert matrix.miou == 1.0
    assert [math.isnan(value) for value in matrix.iou().tolist()] == [False, True, True]


def test_both_conventions_for_classes_that_no_label_holds() -> None:
    """By hand: class 2 never occurs; predicted once, it spoils class 1 and has no IoU of its own."""
    labels, predicted = [0, 0, 1, 1], [0, 0, 1, 2]
    matrix = ConfusionMatrix(3, absent={2})
    matrix.update(torch.tensor(predicted), torch.tensor(labels))
    assert matrix.iou()[:2].tolist() == [1.0, 0.5]
    assert matrix.iou()[2].isnan()
    assert matrix.miou == 0.75
    assert matrix.miou_absent_as_0 == 0.5
    assert matrix.pixel_accuracy == 0.75
    assert matrix.mean_accuracy == 0.75


def test_official_convention_counts_what_happens_not_to_occur_as_0_too() -> None:
    matrix = _matrix(predicted=[0, 0], labels=[0, 0], classes=4)
    assert matrix.miou_absent_as_0 == 0.25
    assert math.isnan(ConfusionMatrix(4).miou_absent_as_0)


def test_class_that_is_only_predicted_scores_0() -> None:
    matrix = _matrix(predicted=[0, 1], labels=[0, 0], classes=2)
    assert matrix.iou().tolist() == [0.5, 0.0]
    assert matrix.miou == 0.25


def test_no_labelled_pixel_gives_nan_not_a_perfect_or_a_zero_score() -> None:
    matrix = _matrix(predicted=[0], labels=[IGNORE], classes=2)
    assert math.isnan(matrix.miou) and math.isnan(matrix.pixel_accuracy)


def test_counts_of_two_ranks_add_up_to_those_of_one() -> None:
    predicted, labels = _random((6, 5, 7))
    whole, first, second = (ConfusionMatrix(CLASSES) for _ in range(3))
    whole.update(predicted, labels)
    first.update(predicted[::2], labels[::2])
    second.update(predicted[1::2], labels[1::2])
    assert torch.equal(first.counts + second.counts, whole.counts)


def test_renaming_the_classes_renames_the_scores() -> None:
    predicted, labels = _random((50, 40))
    order = torch.tensor([2, 0, 3, 1])
    renamed = torch.cat([order, torch.full((IGNORE + 1 - CLASSES,), IGNORE)])
    plain, permuted = ConfusionMatrix(CLASSES), ConfusionMatrix(CLASSES)
    plain.update(predicted, labels)
    permuted.update(renamed[predicted], renamed[labels])
    torch.testing.assert_close(permuted.iou()[order], plain.iou())
    assert permuted.miou == pytest.approx(plain.miou)


def test_equals_intersection_over_union_of_pixel_sets() -> None:
    predicted, labels = _random((50, 40))
    matrix = ConfusionMatrix(CLASSES)
    matrix.update(predicted, labels.to(torch.uint8))  # labels as they are stored
    kept = labels != IGNORE
    for c in range(CLASSES):
        p, t = (predicted == c) & kept, labels == c
        expected = (p & t).sum() / (p | t).sum()
        assert matrix.iou()[c].item() == pytest.approx(expected.item())


def test_counts_exactly_where_float32_stops() -> None:
    matrix = ConfusionMatrix(2)
    matrix.counts[0, 0] = 2**24
    matrix.update(torch.tensor([0]), torch.tensor([0]))
    assert matrix.counts[0, 0] == 2**24 + 1


def test_rejects_label_that_is_no_class() -> None:
    with pytest.raises(ValueError, match=r"label 200 .* 0\.\.1 and 255"):
        _matrix(predicted=[0, 1], labels=[0, 200], classes=2)


def test_rejects_labels_of_another_size() -> None:
    with pytest.raises(ValueError, match="upsample"):
        _matrix(predicted=[0, 1], labels=[0], classes=2)


def _matrix(*, predicted: list[int], labels: list[int], classes: int) -> ConfusionMatrix:
    matrix = ConfusionMatrix(classes)
    matrix.update(torch.tensor(predicted), torch.tensor(labels))
    return matrix


def _random(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    predicted = torch.randint(CLASSES, shape, generator=generator)
    labels = torch.randint(CLASSES + 1, shape, generator=generator)
    return predicted, torch.where(labels == CLASSES, IGNORE, labels)
