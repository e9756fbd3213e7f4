"""Several searches side by side in one study, one for each value of `study.budget_per`.

Each has a sampler of its own that sees the runs of its value and no others, so a method is judged by
what can be found with its share alone. They take turns: whose value has had least proposes next.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from afdcd.search.config import SamplerName
from afdcd.search.division import Division, Label, narrowed
from afdcd.search.policy.own_tpe import OwnTPE
from afdcd.search.policy.samplers import Sampler, Taken, Wish, sampler_of
from afdcd.search.policy.tried import Parameters
from afdcd.search.policy.warm import Observation
from afdcd.search.rows import Entry


class Divided:
    """A sampler made of samplers.

    Args:
        whole: of all of the space; it ranks the runs of the study together.
        own: of each value.
        trials: how many the study shall have by now.
    """

    def __init__(
        self,
        division: Division,
        whole: Sampler,
        own: Mapping[Label, Sampler],
        trials: Callable[[], int],
    ) -> None:
        self._division, self._whole, self._own, self._trials = division, whole, own, trials

    def propose(self, number: int, entries: Sequence[Entry], taken: Taken) -> Wish | None:
        for value in self._division.turns(self._trials(), entries):
            own = self._division.own(entries, value)
            if wish := self._own[value].propose(number, own, taken):
                return wish
        return None

    def unsure(self, entries: Sequence[Entry], left: int) -> Entry | None:
        trials = self._trials()
        for value in self._division.turns(trials, entries)[:1]:
            own = self._division.own(entries, value)
            return self._own[value].unsure(own, self._division.left(trials, entries)[value])
        return None

    def completed(self, number: int, asked: dict[str, Any]) -> dict[str, Any]:
        return self._whole.completed(number, asked)

    def ranked(self, entries: Sequence[Entry]) -> list[Entry]:
        return self._whole.ranked(entries)

    def ranked_of(self, value: Label, entries: Sequence[Entry]) -> list[Entry]:
        """The trials of one value that came to their end, best first, as its own sampler judges them."""
        return self._own[value].ranked(self._division.own(entries, value))


def divided(
    division: Division,
    name: SamplerName,
    space: Any,
    seed: int,
    parameters: Parameters,
    trials: Callable[[], int],
    *,
    maximise: bool,
    warm: Sequence[Observation] = (),
) -> Divided:
    """The samplers of a divided study; the other arguments are those of `sampler_of`."""

    def of(space: Any) -> Sampler:
        return sampler_of(name, space, seed, parameters, maximise=maximise, warm=warm)

    own: dict[Label, Sampler] = {}
    for value in division.sizes:
        part = narrowed(space, division.path, value)
        own[value] = OwnTPE(part, seed, maximise=maximise) if name == "tpe" else of(part)
    return Divided(division, of(space), own, trials)
