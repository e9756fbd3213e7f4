"""Several methods at once: the sum of their terms."""

from collections.abc import Iterator, Mapping

from jaxtyping import Float
from torch import Tensor, nn

from afdcd.distillers.base import Adversary, Distiller, Targets
from afdcd.distillers.configs.combined import CombinedConfig
from afdcd.distillers.configs.shapes import PairShapes
from afdcd.distillers.context import StepContext
from afdcd.models.outputs import Output


class Combined(Distiller):
    """Its terms are named as `cwd_channel`: a method, and a term of it."""

    def __init__(self, config: CombinedConfig, pair: PairShapes) -> None:
        nn.Module.__init__(self)  # the adversary is that of a part, and registered there
        self.parts = nn.ModuleDict({name: part.build(pair) for name, part in config.terms})

    @property
    def adversary(self) -> Adversary | None:  # type: ignore[override]
        """That of the part that has one."""
        players = [part.adversary for _, part in self._parts() if part.adversary is not None]
        return players[0] if players else None

    def _parts(self) -> Iterator[tuple[str, Distiller]]:
        for name, part in self.parts.items():
            assert isinstance(part, Distiller)  # for mypy
            yield name, part

    def clipped(self) -> list[nn.Parameter]:
        """Of those parts that are clipped, together."""
        return [parameter for _, part in self._parts() for parameter in part.clipped()]

    def read(self, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        for name, part in self._parts():
            start = f"{name}."
            part.read({k.removeprefix(start): v for k, v in inputs.items() if k.startswith(start)})

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        return {
            f"{name}_{term}": value
            for name, part in self._parts()
            for term, value in part(student, teacher, targets, step).items()
        }
