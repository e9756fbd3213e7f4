"""What one iteration computes: its random numbers, its divisor, its terms."""

import torch

from afdcd.data.catalog.train_ids import IGNORE
from afdcd.distillers.context import StepContext
from afdcd.tasks.segmentation_task import SEGMENTATION
from afdcd.training.step import mean_count
from tests.training.networks import batch, build_pair


def test_labelled_pixels_are_counted_and_never_zero() -> None:
    labels = torch.full((2, 3, 4), IGNORE)
    assert mean_count(SEGMENTATION.count(labels)).item() == 1.0
    labels[0, 0] = 2
    assert mean_count(SEGMENTATION.count(labels)).item() == 4.0


def test_without_a_teacher_only_the_task_is_learnt() -> None:
    pair = build_pair()
    images, labels = batch()
    terms = pair.step(
        images, labels, None, StepContext(0, 0), mean_count(SEGMENTATION.count(labels))
    )
    assert set(terms) == {"task", "aux"}
