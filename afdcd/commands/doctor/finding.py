"""A line of `afdcd doctor`, and a check that can neither hang nor end the others."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from afdcd.config import UserError

# Seconds that a check may take. What is asked answers within one, or hangs; importing torch or MLflow
# on a busy machine takes most of a minute.
PATIENCE = 60.0
_NAMED = 5  # nodes in a line; of more, how many


@dataclass(frozen=True)
class Finding:
    """One line: `mend` is empty where all is well.

    Attributes:
        where: the nodes that say so; nothing for what was found from here.
    """

    what: str
    found: str
    mend: str = ""
    where: tuple[str, ...] = ()

    def __str__(self) -> str:
        state = "MEND" if self.mend else "ok  "
        more = f" and {len(self.where) - _NAMED} more" if len(self.where) > _NAMED else ""
        place = f" on {', '.join(self.where[:_NAMED])}{more}" if self.where else ""
        return f"{state}  {self.what}{place}: {self.found}" + (self.mend and f"; {self.mend}")


Check = Callable[[], list[Finding]]
_unended: list[threading.Thread] = []  # checks that gave no answer in time


def hanging() -> bool:
    """Whether a check still waits for its answer."""
    return any(thread.is_alive() for thread in _unended)


def guarded(check: Check, patience: float = PATIENCE) -> list[Finding]:
    """What a check finds; what a person can mend, or no answer at all, is a line, too.

    It is told by the first line of the check's docstring.
    """
    what = (check.__doc__ or check.__name__).partition("\n")[0].rstrip(".")
    what = what if what[:2].isupper() else what[0].lower() + what[1:]  # GPU, MLflow
    ended: list[list[Finding] | BaseException] = []

    def run() -> None:
        try:
            ended.append(check())
        except BaseException as error:  # raised below, in the thread that asked
            ended.append(error)

    # A daemon, for a read that hangs must not keep the process from its end.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        _unended.append(thread)
    outcome = ended[0] if ended else UserError(f"look why nothing came within {patience:g} s")
    if isinstance(outcome, UserError):
        return [Finding(what, "not usable" if ended else "no answer", str(outcome))]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Nodes that found the same in one line, in the order in which it was first found."""
    same: dict[Finding, tuple[str, ...]] = {}
    for finding in findings:
        key = replace(finding, where=())
        same[key] = (*same.get(key, ()), *finding.where)
    return [replace(finding, where=where) for finding, where in same.items()]
