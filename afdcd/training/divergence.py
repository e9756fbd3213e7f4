"""Whether what is computed is finite: decided on the device, where the host looks once in a while."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from afdcd.training.step import mean_over_ranks


class Divergence:
    """Notes terms and gradients as they are queued.

    Attributes:
        stopped: 1 from the first term or gradient on that is not finite.
        first: what was not finite first, and at which iteration; None as long as all is, as far as
            was looked.
    """

    def __init__(self, device: torch.device) -> None:
        self.stopped = torch.zeros((), device=device)
        self.first: str | None = None
        # Iteration, names of the terms, their values and, last, the gradient's largest entry.
        self._pending: list[tuple[int, tuple[str, ...], Tensor]] = []

    def note(self, iteration: int, terms: dict[str, Tensor], gradient: Float[Tensor, "1"]) -> None:
        """Queue the terms, which become their means over ranks, and the gradient's largest entry."""
        seen = torch.cat([mean_over_ranks(terms), gradient])
        self.stopped.masked_fill_(seen.isfinite().all().logical_not(), 1.0)
        self._pending.append((iteration, tuple(terms), seen))

    def drain(self) -> list[tuple[int, dict[str, float]]]:
        """Iteration and terms (mean over ranks) of all since the last call, in one transfer."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        rows = torch.stack([seen for _, _, seen in pending]).tolist()
        drained = []
        for (iteration, names, _), (*values, gradient) in zip(pending, rows, strict=True):
            terms = dict(zip(names, values, strict=True))
            self.look(iteration, {f"loss term {k}": v for k, v in terms.items()})
            self.look(iteration, {"the gradient": gradient})
            drained.append((iteration, terms))
        return drained

    def look(self, iteration: int, values: Mapping[str, float]) -> None:
        """Remember which of the values is not finite, unless something was not before."""
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong and self.first is None:
            self.first = f"{wrong[0]} is not finite at iteration {iteration + 1}"
