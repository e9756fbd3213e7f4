"""Batches on the device, the next one on its way while the present one trains."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


def prefetch(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Images and labels on `device`, in order; on a GPU copied from pinned memory one ahead.

    A batch may be used on the stream that is current when it is handed out.
    """
    if device.type != "cuda":
        for images, labels in batches:
            yield images.to(device), labels.to(device)
        return
    copies = torch.cuda.Stream(device)
    ahead: tuple[Batch, torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(copies):
            moved = batch[0].to(device, non_blocking=True), batch[1].to(device, non_blocking=True)
            following = moved, copies.record_event()
        if ahead is not None:
            yield _arrived(*ahead)
        ahead = following
    if ahead is not None:
        yield _arrived(*ahead)


def _arrived(batch: Batch, copied: torch.cuda.Event) -> Batch:
    stream = torch.cuda.current_stream(batch[0].device)
    stream.wait_event(copied)  # of this batch alone: the next one's copy goes on
    for tensor in batch:
        tensor.record_stream(stream)  # or the next copy could take its memory too early
    return batch
