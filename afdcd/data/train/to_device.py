"""Batches on the device, the next one on its way while the present one trains."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from afdcd.data.train.batch import Batch
from afdcd.data.train.config import Normalisation


def prefetch(
    batches: Iterable[Batch], device: torch.device, normalisation: Normalisation
) -> Iterator[tuple[Float32[Tensor, "b 3 h w"], Int64[Tensor, "b h w"]]]:
    """Images and labels on `device`, in order; on a GPU copied from pinned memory one ahead.

    They travel as bytes and are normalised when they are handed out, so the one ahead takes a
    quarter of the memory. They may be used on the stream that is current then.
    """
    if device.type != "cuda":
        for batch in batches:
            yield batch.to(device).normalised(normalisation, padded=batch.padded())
        return
    copies = torch.cuda.Stream(device)
    ahead: tuple[Batch, bool, torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(copies):
            following = batch.to(device), batch.padded(), copies.record_event()
        if ahead is not None:
            yield _arrived(*ahead, normalisation)
        ahead = following
    if ahead is not None:
        yield _arrived(*ahead, normalisation)


def _arrived(
    batch: Batch, padded: bool, copied: torch.cuda.Event, normalisation: Normalisation
) -> tuple[Float32[Tensor, "b 3 h w"], Int64[Tensor, "b h w"]]:
    stream = torch.cuda.current_stream(batch.images.device)
    stream.wait_event(copied)  # of this batch alone: the next one's copy goes on
    for tensor in batch:
        tensor.record_stream(stream)  # or the next copy could take its memory too early
    return batch.normalised(normalisation, padded=padded)
