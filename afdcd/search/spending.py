"""What a study has spent by its rows and notes, and whether its budget pays for one more run."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import optuna

from afdcd.search.budget import Budget, Cost, Spent
from afdcd.search.ledger import full_cost, left_of, other_hours
from afdcd.search.rows import Entry, standing
from afdcd.search.settings import Settings
from afdcd.search.wishes import budget_of


class Spending:
    """The purse of one study.

    Attributes:
        budget: what it may spend, as its file says; by default nothing limits it.
        expected: what a run is reckoned to cost, as long as none has been completed.
        worked: hours that its drivers have worked so far.
        short: what could not be paid for, when it was asked last.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self.budget, self.expected, self.short = Budget(), Cost(0.0, 0.0), ""
        self.worked: Callable[[], float] = lambda: 0.0

    def allow(self, budget: Budget, expected: Cost, worked: Callable[[], float]) -> None:
        """Limit what is spent from now on."""
        self.budget, self.expected, self.worked = budget, expected, worked

    def device_hours(self, entries: Sequence[Entry]) -> float:
        """Of these runs, lost attempts included, and of what was spent besides runs."""
        return sum(entry.device_hours for entry in entries) + other_hours(self._study.user_attrs)

    def refuses(
        self, rows: list[Entry], live: Collection[int], settings: Settings, wanted: Entry | None
    ) -> bool:
        """Whether the rest does not pay for a run to its end; `short` says why.

        Args:
            rows: all of the study.
            live: the numbers of those that go on; what they have cost by now stands in their folders.
            wanted: the row to be begun or taken up; None for one that is still to be sampled.
        """
        self.short = ""
        if not self.budget.is_limited:
            return False
        known = standing(rows)
        going = [replace(e, attempts=settings.attempts_of(e)) for e in known if e.number in live]
        spent = [e for e in known if e.number not in live] + going
        run = full_cost(known) or self.expected
        owed = sum(left_of(entry) for entry in going) * run.device_hours
        budget = replace(self.budget, limits=budget_of(self._study, self.budget.limits))
        # A run with a seed of its own is the proof's, for which the share is laid aside.
        if wanted and wanted.seed is not None and not wanted.further:
            budget = replace(budget, proof_runs=0)
        proven = sum(entry.device_hours for entry in spent if entry.proves)
        account = Spent(self.device_hours(spent), self.worked(), owed, proven)
        self.short = budget.refuses(account, run, left_of(wanted) if wanted else 1.0)
        return bool(self.short)
