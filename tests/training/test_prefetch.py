"""Batches arrive on the device whole, in order, and no more than one ahead."""

from collections.abc import Iterator

import pytest
import torch

from afdcd.training.prefetch import Batch, prefetch

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def numbered(count: int, taken: list[int], *, side: int = 4) -> Iterator[Batch]:
    """Batches filled with their own number, in pinned memory where there is a GPU."""
    for index in range(count):
        taken.append(index)
        images = torch.full((2, 3, side, side), float(index))
        labels = torch.full((2, side, side), index)
        if torch.cuda.is_available():
            images, labels = images.pin_memory(), labels.pin_memory()
        yield images, labels


def test_on_the_cpu_batches_pass_through_one_at_a_time() -> None:
    taken: list[int] = []
    batches = [(torch.rand(1, 3, 2, 2), torch.ones(1, 2, 2, dtype=torch.int64)) for _ in range(3)]

    def source() -> Iterator[Batch]:
        for index, batch in enumerate(batches):
            taken.append(index)
            yield batch

    for index, (images, labels) in enumerate(prefetch(source(), CPU)):
        assert images is batches[index][0]
        assert labels is batches[index][1]
        assert taken == list(range(index + 1))
    assert taken == [0, 1, 2]


def test_defect_of_a_batch_reaches_whoever_asks_for_it() -> None:
    def source() -> Iterator[Batch]:
        yield torch.zeros(1), torch.zeros(1)
        raise ValueError("row 7 is damaged")

    batches = prefetch(source(), CPU)
    next(batches)
    with pytest.raises(ValueError, match="row 7"):
        next(batches)


@needs_gpu
@pytest.mark.parametrize("count", [0, 1, 5])
def test_on_a_gpu_each_batch_is_whole_and_the_next_one_taken(count: int) -> None:
    device, taken = torch.device("cuda", 0), []
    seen = 0
    for images, labels in prefetch(numbered(count, taken, side=512), device):
        assert taken == list(range(min(seen + 2, count)))
        assert images.is_cuda
        assert labels.dtype is torch.int64
        assert (images == seen).all()
        assert (labels == seen).all()
        seen += 1
    assert seen == count


@needs_gpu
def test_on_a_gpu_the_host_waits_for_no_copy() -> None:
    device = torch.device("cuda", 0)
    batches = list(numbered(4, []))
    list(prefetch(batches, device))
    torch.cuda.set_sync_debug_mode("error")
    try:
        total = sum(labels.sum() for _, labels in prefetch(batches, device))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert total.item() == (0 + 1 + 2 + 3) * 32
