"""What CIRKD remembers of earlier images: for each class, vectors of the teacher in a ring.

Source: Yang et al. 2022, CVPR, sec. 3.3; winycg/CIRKD@2d8ad0f `losses/cirkd_memory.py`. No size here
depends on a value, so that the host never waits. Axes: b images, k classes, n pixels, s slots.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from afdcd.losses.units import unit

PER_IMAGE = 16  # pixels of a class that an image adds at most


class Keys(NamedTuple):
    """What images add, for each class; of `pixels` the first `counts` are meant."""

    pixels: Float[Tensor, "b k p c"]
    counts: Int[Tensor, "b k"]
    means: Float[Tensor, "b k c"]


class Ring(nn.Module):
    """The last vectors of each class, of length 1; at first random ones."""

    def __init__(self, classes: int, slots: int, channels: int) -> None:
        super().__init__()
        self.vectors: Tensor
        self.position: Tensor
        first = F.normalize(torch.randn(classes, slots, channels), dim=2)
        self.register_buffer("vectors", first)
        self.register_buffer("position", torch.zeros(classes, dtype=torch.int64))

    @torch.no_grad()
    def add(
        self, vectors: Float[Tensor, "k p c"], counts: Int[Tensor, " k"], *, official: bool
    ) -> None:
        """Of each class the first `counts` of its vectors.

        Officially, vectors that would reach the end overwrite the last slots, and the next ones begin
        at the first: what was written just before is lost, and the first slot waits a turn.
        """
        slots, number = self.vectors.shape[1], torch.arange(vectors.shape[1], device=counts.device)
        start, after = self.position, (self.position + counts) % slots
        if official:
            full = self.position + counts >= slots
            start = torch.where(full, slots - counts, self.position)
            after = torch.where(full, 0, self.position + counts)
        places = ((start[:, None] + number) % slots)[:, :, None].expand_as(vectors)
        meant = (number < counts[:, None])[:, :, None]
        kept = self.vectors.gather(1, places)
        self.vectors.scatter_(1, places, torch.where(meant, vectors.to(kept.dtype), kept))
        self.position.copy_(after)

    def chosen(self, slots: Int[Tensor, " s"]) -> Float[Tensor, "ks c"]:
        return self.vectors[:, slots].flatten(0, 1)


@torch.no_grad()
def keys_of(
    feature: Float[Tensor, "b c n"],
    labels: Int[Tensor, "b n"],
    classes: int,
    priorities: Float[Tensor, "b _ n"],
    most: int,
    *,
    official: bool,
) -> Keys:
    """For each class the mean of its pixels and those of the highest priority, at most `most` of them.

    Args:
        feature: of unit length along axis 1.
        priorities: 0..1, for all classes or for each.
        official: as many pixels as the class has, but the image's first ones, whatever their class.
    """
    member = labels[:, None] == torch.arange(classes, device=labels.device)[:, None]
    counts = member.sum(2)
    eligible = member
    if official:
        eligible = torch.arange(labels.shape[1], device=labels.device) < counts[:, :, None]
    ranked = torch.where(eligible, priorities, -1.0)
    places = ranked.topk(min(most, labels.shape[1]), dim=2).indices
    vectors = feature.mT.unsqueeze(1).expand(-1, classes, -1, -1)
    index = places[..., None].expand(-1, -1, -1, feature.shape[1])
    means = unit(feature @ member.to(feature.dtype).mT).mT
    return Keys(vectors.gather(2, index), counts.clamp(max=places.shape[2]), means)
