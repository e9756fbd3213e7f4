"""What one iteration computes: its random numbers, its divisor, its terms."""

import torch
from torch import Tensor

from afdcd.data.catalog.datasets import IGNORE
from afdcd.training.step import mask_noise, teacher_outputs, valid_pixels
from tests.training.networks import CPU, batch, build_pair


def test_mask_noise_of_the_ranks_is_that_of_one_process() -> None:
    whole = mask_noise((4, 5, 6), seed=3, iteration=7, rank=0, world=1, device=CPU)
    parts = [mask_noise((2, 5, 6), 3, 7, rank, 2, CPU) for rank in range(2)]
    assert torch.cat(parts).equal(whole)
    assert whole.shape == (4, 1, 5, 6)
    assert 0 <= whole.min() < whole.max() < 1


def test_mask_noise_changes_with_seed_and_iteration_only() -> None:
    def draw(seed: int, iteration: int) -> Tensor:
        return mask_noise((2, 3, 4), seed, iteration, 0, 1, CPU)

    torch.manual_seed(0)
    first = draw(0, 0)
    torch.manual_seed(1)
    assert draw(0, 0).equal(first)
    assert not draw(0, 1).equal(first)
    assert not draw(1, 0).equal(first)


def test_labelled_pixels_are_counted_and_never_zero() -> None:
    labels = torch.full((2, 3, 4), IGNORE)
    assert valid_pixels(labels).item() == 1.0
    labels[0, 0] = 2
    assert valid_pixels(labels).item() == 4.0


def test_without_a_teacher_only_the_task_is_learnt() -> None:
    pair = build_pair()
    images, labels = batch()
    terms = pair.step(images, labels, teacher_outputs(None, images), None, valid_pixels(labels))
    assert set(terms) == {"task", "aux"}
