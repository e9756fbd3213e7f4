"""Which row a study begins next, and what it shall run."""

from collections.abc import Callable
from itertools import count

import optuna
from optuna.trial import TrialState

from afdcd.config import UserError
from afdcd.search import rows
from afdcd.search.book import Book
from afdcd.search.known_runs import KnownRuns
from afdcd.search.options import OptionSets
from afdcd.search.policy.samplers import Sampler, Taken, Wish
from afdcd.search.rows import Entry, used_seeds

HOPELESS = 10  # runs that cannot be trained, with none that can, before a study stops


class Proposer:
    """Makes rows out of what people asked for, then out of what the sampler proposes.

    What a row shall run is noted before it is begun, and is a function of the other rows: where a
    driver dies in between, the next one comes to the same.
    """

    def __init__(
        self,
        runs: KnownRuns,
        book: Book,
        options: OptionSets,
        sampler: Sampler,
        unpaid: Callable[[list[Entry], Entry | None], bool],
    ) -> None:
        self._runs, self._book = runs, book
        self._options, self._sampler, self._unpaid = options, sampler, unpaid

    def next_row(self) -> optuna.Trial | None:
        """A row that runs; None if trials or budget are spent, or all settings are taken.

        Raises:
            UserError: no run so far could be trained.
        """
        everything = self._runs.everything()  # once: it is the dearest step where there are many
        if first := _waiting(everything):
            begins = self._may_begin(first, everything) and not self._unpaid(everything, first)
            return self._pinned(self._book.ask(), None) if begins else None
        known = self._runs.counting(everything)
        if not self._affords_another(known) or self._unpaid(everything, None):
            return None
        wish = self._wish(len(everything), everything)
        return self._pinned(self._book.ask(), wish) if wish else None

    def again(self, number: int) -> optuna.Trial:
        """A row that was begun by a driver that died before it was known what it runs."""
        others = [e for e in self._runs.everything() if e.number != number]
        wish = self._wish(number, others)
        return self._pinned(self._book.begun(number), wish)

    def may_ask(self) -> bool:
        """Whether a run that was asked for waits and may be begun: the study's trials pay for it,
        or it costs none."""
        everything = self._runs.everything()
        first = _waiting(everything)
        return first is not None and self._may_begin(first, everything)

    def is_unpaid(self) -> bool:
        """Whether the budget does not pay for what would be begun next."""
        everything = self._runs.everything()
        return self._unpaid(everything, _waiting(everything))

    def _wish(self, number: int, others: list[Entry]) -> Wish | None:
        """What row `number` shall run, beside the other rows."""
        known = self._runs.counting(others)
        if unsure := self._sampler.unsure(known, self._runs.affordable(known)):
            return _again(unsure)
        return self._sampler.propose(number, known, _taken(others))

    def _may_begin(self, first: Entry, everything: list[Entry]) -> bool:
        free = first.extra or first.seed is not None
        return free or self._runs.affordable(self._runs.counting(everything)) > 0

    def _affords_another(self, known: list[Entry]) -> bool:
        """Whether the rest of the trials pays for a run to its end, and runs can be trained at all."""
        failed = [e for e in known if e.outcome == "infeasible"]
        if len(failed) >= HOPELESS and not any(e.outcome == "completed" for e in known):
            raise UserError(
                f"study {self._runs.name!r} stops: none of its {len(failed)} runs could be trained, "
                f"the last one because: {failed[-1].cause}; leave what fails out of the search space"
            )
        return self._runs.affordable(known) > 0 and len(failed) < max(
            HOPELESS, 2 * self._runs.trials()
        )

    def _trial(self, number: int | None) -> Entry:
        return next(e for e in self._runs.entries() if e.is_searched and e.first == number)

    def _further(self, trial: int) -> dict[str, int]:
        """A further run of a trial, with the first seed that no run of the study has."""
        used = used_seeds(self._runs.everything())
        return {rows.REPEATS: trial, rows.SEED: next(s for s in count(1) if s not in used)}

    def _pinned(self, row: optuna.Trial, wish: Wish | None) -> optuna.Trial:
        """A row that runs, with what it shall run: what somebody asked for, else what is wished."""
        entry = self._book.entry(row.number)
        if entry.given:
            return row
        if entry.asked is not None:
            why = "reference" if entry.is_reference else "asked"
            wish = Wish(self._sampler.completed(row.number, entry.asked), why)
        if entry.further:  # so it was decided, and then the driver died
            wish = _again(self._trial(entry.repeats))
        if wish is None:
            return row
        self._book.note(row.number, rows.POLICY, wish.note())
        if wish.repeats is not None and not entry.further:
            self._book.note(row.number, rows.FURTHER, self._further(wish.repeats))
        if not wish.values:
            return row
        parameters = self._options.parameters(self._runs.settings.space, wish.values)
        self._book.pin(row.number, parameters)
        return self._book.begun(row.number)


def _again(trial: Entry) -> Wish:
    """A further run of a trial, to settle which is chosen."""
    return Wish(trial.searched, "further seed", repeats=trial.first)


def _waiting(everything: list[Entry]) -> Entry | None:
    """The row that is begun next, if any was asked for."""
    return next((e for e in everything if e.state == TrialState.WAITING), None)


def _taken(everything: list[Entry]) -> Taken:
    """The settings that need not be run again."""
    return {e.key for e in everything if e.outcome not in ("lost", "killed")}
