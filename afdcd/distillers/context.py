"""Where in a run a step is, and what its ranks have to do with each other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from afdcd.distillers import ranks
from afdcd.seeds import derive


@dataclass(frozen=True, slots=True)
class StepContext:
    """The images that one call of a distiller is about, as a part of the global batch.

    Every draw is a function of the run's seed, of a name and of the iteration, so that a resumed run,
    or one with another number of workers, draws the same.

    Attributes:
        part, parts: a rank takes its share in so many parts; this is every `parts`-th image from
            `part` on.
    """

    seed: int
    iteration: int
    rank: int = 0
    world: int = 1
    part: int = 0
    parts: int = 1

    def generator(
        self, name: str, device: torch.device | str = "cpu", *position: str | int
    ) -> torch.Generator:
        """For draws that all ranks make alike.

        Args:
            name: what is drawn; two of one name draw the same numbers.
            position: e.g. a class, where there is a draw for each.
        """
        seed = derive(self.seed, name, self.iteration, *position)
        return torch.Generator(device).manual_seed(seed)

    def uniform(self, name: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Draws from [0, 1) for each of the images of this call, which are the first axis of `shape`."""
        images, *rest = shape
        share = images * self.parts
        whole = (share * self.world, *rest)
        drawn = torch.rand(whole, generator=self.generator(name, device), device=device)
        return drawn[self.rank * share : (self.rank + 1) * share][self.part :: self.parts]

    def permutation(self, name: str, length: int, device: torch.device) -> Tensor:
        """The numbers 0 to length - 1 in an order that all ranks draw alike."""
        drawn = torch.randperm(length, generator=self.generator(name))
        return drawn.to(device, non_blocking=True)

    def gather(self, values: Tensor) -> Tensor:
        """Along the first axis the values of all ranks, in the order of ranks; gradients flow back.

        A term of gathered values that every rank computes alike, or of which each computes its
        part, trains as it would on one rank.
        """
        return values if self.world == 1 else ranks.gather(values)

    def total(self, values: Tensor) -> Tensor:
        """The sum over ranks, e.g. of the pixels that count; without gradient."""
        return values.detach() if self.world == 1 else ranks.total(values)
