"""TPE over some runs of a study only: they are copied into an Optuna study that lives for one proposal.

The sampler of the study's own Optuna study would see all runs.
"""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from afdcd.search.options import OptionSets
from afdcd.search.policy.points import Points
from afdcd.search.policy.samplers import DRAWS, Random, Taken, Wish, tpe
from afdcd.search.rows import Entry
from afdcd.seeds import derive

SAYS = {"completed": TrialState.COMPLETE, "paused": TrialState.PRUNED, None: TrialState.RUNNING}


class OwnTPE(Random):
    """Proposes what TPE does after the runs that it is shown, and nothing that is taken."""

    why = "tpe"

    def __init__(self, space: Any, seed: int, *, maximise: bool) -> None:
        super().__init__(Points(space), seed, maximise=maximise)
        self._space, self._options = space, OptionSets()
        self._options.learn(space)

    def propose(self, number: int, entries: Sequence[Entry], taken: Taken) -> Wish | None:
        direction = "maximize" if self._maximise else "minimize"
        sampler = tpe(derive(self._seed, "proposal", number))
        study = optuna.create_study(sampler=sampler, direction=direction)
        study.add_trials([self._row(e) for e in entries if self._teaches(e)])
        for _ in range(DRAWS):
            trial = study.ask()
            self._options.suggest(self._space, trial)
            if frozenset(trial.params.items()) not in taken:
                return Wish(trial.params, self.why)
        return self.rest(taken)

    def _teaches(self, entry: Entry) -> bool:
        """Whether it lies in this space, and has shown or will show something."""
        return entry.outcome in SAYS and self.points.row(entry.searched) is not None

    def _row(self, entry: Entry) -> FrozenTrial:
        known = FixedTrial(entry.searched)
        self._options.suggest(self._space, known)
        return create_trial(
            state=SAYS[entry.outcome],
            value=entry.value if entry.outcome == "completed" else None,
            params=known.params,
            distributions=known.distributions,
            intermediate_values=entry.curve,
        )
