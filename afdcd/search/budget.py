"""Whether the rest of a budget pays for one more run, from its start to its end.

Pure accounting: what was spent is handed in, nothing is read or timed here. The share of the proof is
laid aside first, at the same price for each of its runs.
"""

from dataclasses import dataclass

from afdcd.search.config import BudgetConfig

UNLIMITED = BudgetConfig()


@dataclass(frozen=True)
class Cost:
    """What one run takes from its start to its end."""

    device_hours: float
    hours: float  # of the clock


@dataclass(frozen=True)
class Spent:
    """What a study has cost so far.

    Attributes:
        device_hours: of every attempt, of teachers trained for it, of measuring.
        hours: that its drivers worked.
        owed: device-hours that the runs which go on will still need.
        proven: device-hours of them that went into a proof.
    """

    device_hours: float = 0.0
    hours: float = 0.0
    owed: float = 0.0
    proven: float = 0.0


@dataclass(frozen=True)
class Budget:
    """The limits of a study, and what is laid aside for its proof.

    Attributes:
        proof_runs: runs of the proof; 0 once it has begun, or without one.
        at_once: runs that the cluster holds at the same time.
    """

    limits: BudgetConfig = UNLIMITED
    proof_runs: int = 0
    at_once: int = 1

    @property
    def is_limited(self) -> bool:
        return self.limits.device_hours is not None or self.limits.wall_clock is not None

    def refuses(self, spent: Spent, run: Cost, share: float = 1.0) -> str:
        """Why the rest does not pay for another run; empty if it does.

        Args:
            run: what a run at full length takes.
            share: of it, that is still to be run.
        """
        limits, aside = self.limits, self.reserve(run)
        if limits.device_hours is not None:
            needed = spent.device_hours + spent.owed + share * run.device_hours
            if needed + aside.device_hours > limits.device_hours:
                promised = f"{spent.owed:.3g} promised to runs that go on, " if spent.owed else ""
                return (
                    f"study.budget.device_hours {limits.device_hours:.3g}: "
                    f"{spent.device_hours:.3g} spent, {promised}"
                    f"{_proof(aside.device_hours, spent.proven)}"
                    f"another run takes {share * run.device_hours:.3g}"
                )
        if limits.wall_clock is not None:
            # Runs that go on now end before one that starts now does.
            needed = spent.hours + share * run.hours
            if needed + aside.hours > limits.wall_clock:
                return (
                    f"study.budget.wall_clock {limits.wall_clock:.3g} h: {spent.hours:.3g} h passed, "
                    f"{_proof(aside.hours, spent.proven)}another run takes {share * run.hours:.3g} h"
                )
        return ""

    def reserve(self, run: Cost) -> Cost:
        """What the proof will take."""
        turns = -(-self.proof_runs // self.at_once)
        return Cost(self.proof_runs * run.device_hours, turns * run.hours)


def _proof(amount: float, proven: float) -> str:
    """A proof that was run is of the best setting so far; a better one would need its own."""
    which = "the proof that a better setting would need" if proven else "the proof"
    return f"{amount:.3g} kept for {which}, " if amount else ""
