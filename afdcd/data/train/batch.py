"""A batch as it travels between processes and to the device: bytes, normalised where it arrives.

A quarter of what float32 and int64 would take. Axes: b images of this rank, h w the crop.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.train.config import Normalisation
from afdcd.data.train.transforms import normalised


class Batch(NamedTuple):
    """Crops side by side, padded where an image is smaller.

    Attributes:
        images: RGB, in channels_last order as pictures are decoded; 0 in the padding.
        labels: train ids; IGNORE in the padding.
        shown: per image the end of its rows, the first of its columns and their end; all else is
            padding.
    """

    images: UInt8[Tensor, "b 3 h w"]
    labels: UInt8[Tensor, "b h w"]
    shown: Int64[Tensor, "b 3"]

    @classmethod
    def blank(cls, count: int, crop: tuple[int, int]) -> "Batch":
        """Nothing but padding."""
        return cls(
            torch.zeros((count, *crop, 3), dtype=torch.uint8).permute(0, 3, 1, 2),
            torch.full((count, *crop), IGNORE, dtype=torch.uint8),
            torch.zeros((count, 3), dtype=torch.int64),
        )

    def put(
        self,
        place: int,
        image: UInt8[np.ndarray, "y x 3"],
        label: UInt8[np.ndarray, "y x"],
        *,
        at_right: bool,
    ) -> None:
        """Show `image` at the top, at the left or (a mirrored one) at the right."""
        (height, width), crop = label.shape, self.labels.shape[2]
        left = crop - width if at_right else 0
        self.images.numpy().transpose(0, 2, 3, 1)[place, :height, left : left + width] = image
        self.labels.numpy()[place, :height, left : left + width] = label
        self.shown[place] = torch.tensor([height, left, left + width])

    def to(self, device: torch.device) -> "Batch":
        """From pinned memory without holding up the host."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))

    def padded(self) -> bool:
        """Whether there is any padding; of a batch on a GPU this waits for it."""
        height, width = self.labels.shape[1:]
        return bool((self.shown != torch.tensor([height, 0, width])).any())

    def normalised(
        self, name: Normalisation, *, padded: bool = True
    ) -> tuple[Float32[Tensor, "b 3 h w"], Int64[Tensor, "b h w"]]:
        """What a network takes; the padding is the mean colour, which is 0.

        channels_last on a GPU, where networks are; `padded`: whether to look for padding.
        """
        images = normalised(self.images if self.images.is_cuda else self.images.contiguous(), name)
        if padded:
            images.masked_fill_(self._padding()[:, None], 0)
        return images, self.labels.long()

    def _padding(self) -> Tensor:
        height, width = self.labels.shape[1:]
        row = torch.arange(height, device=self.shown.device)[:, None]
        column = torch.arange(width, device=self.shown.device)
        bottom, left, right = self.shown[:, :, None, None].unbind(1)
        return (row >= bottom) | (column < left) | (column >= right)
