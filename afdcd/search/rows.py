"""What a row of the study database says: one attempt at a setting, with all that was decided of it.

Optuna's states stay honest: COMPLETE is a full-length value, PRUNED a paused run, FAIL an infeasible
or lost one, RUNNING one that goes on with the next driver.
"""

from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from afdcd.search.losses import Loss
from afdcd.search.options import path_of
from afdcd.training.job import Outcome

# Attributes of a row.
FIRST = "first"  # the number of the row that began the run, where this one takes it up
SETTING = "setting"  # the whole configuration, defaults filled in
IDENTITY = "identity"
REFERENCE = "reference"  # the parameters that a person asked for; such a run is never paused
OUTCOME = "outcome"
CAUSE = "cause"
LOSSES = "losses"
CONTINUES = "continues"  # the paused row whose run this row takes up; that row no longer counts
HOURS = "device_hours"  # of this run so far, lost attempts excepted
TWIN = "twin"  # the number of an earlier row with the same setting


@dataclass(frozen=True)
class Entry:
    """One row, read.

    Attributes:
        first: the number of the row that began the run; people know the run by it.
        setting: None where a driver died before it was known.
        curve: iteration -> value of every validation.
    """

    number: int
    first: int
    state: TrialState
    setting: dict[str, Any] | None
    identity: str | None
    params: dict[str, Any]
    curve: dict[int, float]
    value: float | None
    reference: dict[str, Any] | None
    outcome: Outcome | None
    cause: str
    losses: tuple[Loss, ...]
    continues: int | None
    twin: int | None
    device_hours: float

    @property
    def name(self) -> str:
        """Of the run: its page in MLflow."""
        return run_name(self.first)

    @property
    def reached(self) -> int:
        """The iteration of the last validation; 0 before the first."""
        return max(self.curve, default=0)

    @property
    def is_reference(self) -> bool:
        return self.reference is not None

    @property
    def searched(self) -> dict[str, Any]:
        """The searched values by path in the space."""
        return {path_of(name): value for name, value in self.params.items()}


def entry_of(row: FrozenTrial) -> Entry:
    attributes = row.user_attrs
    return Entry(
        number=row.number,
        first=attributes.get(FIRST, row.number),
        state=row.state,
        setting=attributes.get(SETTING),
        identity=attributes.get(IDENTITY),
        params=row.params,
        curve=row.intermediate_values,
        value=row.value,
        reference=attributes.get(REFERENCE),
        outcome=attributes.get(OUTCOME),
        cause=attributes.get(CAUSE, ""),
        losses=tuple(Loss(**loss) for loss in attributes.get(LOSSES, [])),
        continues=attributes.get(CONTINUES),
        twin=attributes.get(TWIN),
        device_hours=attributes.get(HOURS, 0.0),
    )


def standing(entries: list[Entry]) -> list[Entry]:
    """The rows that stand for a run: begun, no copies, and not taken up by a later row."""
    replaced = {e.continues for e in entries if e.continues is not None}
    return [
        e
        for e in entries
        if e.state != TrialState.WAITING and e.twin is None and e.number not in replaced
    ]


def run_name(number: int) -> str:
    """The name of the run that the row of this number begins."""
    return f"trial-{number:04d}"
