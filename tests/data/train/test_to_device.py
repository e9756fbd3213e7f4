"""Batches arrive on the device whole, in order, normalised, and no more than one ahead."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from afdcd.data.train.batch import Batch
from afdcd.data.train.to_device import prefetch
from afdcd.data.train.transforms import normalise

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def numbered(count: int, taken: list[int], *, side: int = 4) -> Iterator[Batch]:
    """Batches filled with their own number but for a padded row; pinned where there is a GPU."""
    for index in range(count):
        taken.append(index)
        batch = Batch.blank(2, (side, side))
        shown = np.full((side - 1, side), index, dtype=np.uint8)
        for place in range(2):
            batch.put(place, np.repeat(shown[:, :, None], 3, axis=2), shown, at_right=False)
        yield Batch(*(t.pin_memory() for t in batch)) if torch.cuda.is_available() else batch


def whole(images: torch.Tensor, labels: torch.Tensor, number: int) -> bool:
    """Whether a batch has all that `numbered` put into it."""
    side = images.shape[-1]
    expected = normalise(np.full((side, side, 3), number, dtype=np.uint8), "imagenet")
    expected[:, -1] = 0
    return bool(
        (images.cpu() == expected).all()
        and (labels[:, :-1] == number).all()
        and (labels[:, -1] == 255).all()
    )


def test_on_the_cpu_batches_pass_through_one_at_a_time() -> None:
    taken: list[int] = []
    seen = 0
    for images, labels in prefetch(numbered(3, taken), CPU, "imagenet"):
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert whole(images, labels, seen)
        seen += 1
        assert taken == list(range(seen))
    assert seen == 3


def test_defect_of_a_batch_reaches_whoever_asks_for_it() -> None:
    def source() -> Iterator[Batch]:
        yield Batch.blank(1, (2, 2))
        raise ValueError("row 7 is damaged")

    batches = prefetch(source(), CPU, "imagenet")
    next(batches)
    with pytest.raises(ValueError, match="row 7"):
        next(batches)


@needs_gpu
@pytest.mark.parametrize("count", [0, 1, 5])
def test_on_a_gpu_each_batch_is_whole_and_the_next_one_taken(count: int) -> None:
    device, taken = torch.device("cuda", 0), []
    seen = 0
    for images, labels in prefetch(numbered(count, taken, side=64), device, "imagenet"):
        assert taken == list(range(min(seen + 2, count)))
        assert images.is_cuda
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert whole(images, labels, seen)
        seen += 1
    assert seen == count


@needs_gpu
def test_on_a_gpu_the_host_waits_for_no_copy() -> None:
    device = torch.device("cuda", 0)
    batches = list(numbered(4, []))
    list(prefetch(batches, device, "caffe"))
    torch.cuda.set_sync_debug_mode("error")
    try:
        total = sum(labels[:, :-1].sum() for _, labels in prefetch(batches, device, "caffe"))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert total.item() == (0 + 1 + 2 + 3) * 24
