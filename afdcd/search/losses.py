"""What becomes of a run that a machine, and not its setting, has ended.

It goes on from its checkpoint, wherever there is room, and costs the study no trial. A run that is
lost again and again ends with its cause, and where everything is lost the study stops before it
burns what is left. A node that is drained is no fault, however often that happens.
"""

from dataclasses import dataclass, field

from afdcd.training.job import Fault

# Times that one run is lost with no validation in between before it ends. Data that cannot be read
# stays so; a run that filled the host's memory twice will fill it a third time.
ALLOWED: dict[Fault, int] = {"machine": 3, "memory": 2, "data": 1}
IN_A_ROW = 3  # different runs, with no run completed in between


@dataclass(frozen=True)
class Loss:
    """One attempt that ended without the setting's fault, after `iteration` validated iterations."""

    cause: str
    fault: Fault = "machine"
    iteration: int = 0


def ends(losses: list[Loss]) -> bool:
    """Whether a run with these losses is given up; progress since a loss makes up for it."""
    last = losses[-1]
    if last.fault == "drain":
        return False
    faults = [loss for loss in losses if loss.fault != "drain"]
    stuck = [loss for loss in faults if loss.iteration >= last.iteration]
    return len(stuck) >= ALLOWED.get(last.fault, 1)


@dataclass
class Breaker:
    """Stops a study whose runs are lost one after the other."""

    _lost: dict[str, str] = field(default_factory=dict)  # run -> cause, since the last good end

    def lost(self, run: str, loss: Loss) -> None:
        if loss.fault != "drain":
            self._lost[run] = loss.cause

    def ended_well(self) -> None:
        """A run ended by itself, so its machine works."""
        self._lost.clear()

    @property
    def reason(self) -> str | None:
        """Why nothing more should be started; None as long as it may."""
        if len(self._lost) < IN_A_ROW:
            return None
        causes = list(dict.fromkeys(self._lost.values()))
        return f"{len(self._lost)} runs in a row were lost: {'; '.join(causes[-2:])}"
