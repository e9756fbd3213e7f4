"""Maps of two strides meet on the coarser grid, and nothing of the finer is left out."""

import pytest
import torch

from afdcd.losses.grids import on_one_grid


def test_equal_maps_come_back_as_they_are() -> None:
    first, second = torch.randn(2, 3, 5, 7), torch.randn(2, 4, 5, 7)
    assert on_one_grid(first, second)[0] is first
    assert on_one_grid(first, second)[1] is second


def test_a_cell_takes_the_mean_of_what_it_covers_whichever_is_the_finer() -> None:
    fine, coarse = torch.arange(16.0).view(1, 1, 4, 4), torch.zeros(1, 2, 2, 2)
    expected = torch.tensor([[2.5, 4.5], [10.5, 12.5]]).view(1, 1, 2, 2)
    ours, theirs = on_one_grid(fine, coarse)
    assert ours.equal(expected)
    assert theirs.equal(coarse)
    assert on_one_grid(coarse, fine)[1].equal(expected)


def test_every_position_of_the_finer_map_is_learnt_from_also_at_odd_sizes() -> None:
    fine = torch.randn(1, 2, 19, 22, requires_grad=True)
    resized, _ = on_one_grid(fine, torch.zeros(1, 3, 10, 11))
    resized.sum().backward()
    assert (fine.grad > 0).all()


def test_maps_of_which_neither_is_the_finer_are_refused() -> None:
    with pytest.raises(ValueError, match=r"maps of \(4, 2\) and \(2, 4\) have no common grid"):
        on_one_grid(torch.zeros(1, 1, 4, 2), torch.zeros(1, 1, 2, 4))
