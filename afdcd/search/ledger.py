"""What a study has cost, read from its rows and its notes in the study database."""

from collections.abc import Iterable, Mapping
from typing import Any

import optuna

from afdcd.search.budget import Cost
from afdcd.search.rows import Entry

OTHER = "other_device_hours"  # study attribute: what was spent besides its runs, by what it was for
WORKED = "worked_hours"  # study attribute: hours that each driver worked, by the token of its lease
MEASURING = "measuring networks"


def other_hours(attributes: Mapping[str, Any]) -> float:
    """Device-hours besides the runs of a study: teachers trained for it, networks measured."""
    return sum(attributes.get(OTHER, {}).values())


def note_other(study: optuna.Study, what: str, device_hours: float) -> None:
    """Note what something has cost in all; a later note of the same name replaces it."""
    study.set_user_attr(OTHER, {**study.user_attrs.get(OTHER, {}), what: device_hours})


def add_measuring(study: optuna.Study, device_hours: float) -> None:
    known = study.user_attrs.get(OTHER, {}).get(MEASURING, 0.0)
    note_other(study, MEASURING, known + device_hours)


def worked_hours(study: optuna.Study) -> float:
    """Hours of the clock that all drivers of a study worked."""
    return sum(study.user_attrs.get(WORKED, {}).values())


def full_cost(entries: Iterable[Entry]) -> Cost | None:
    """What a run at full length has cost so far, on average; None before there is one."""
    done = [e for e in entries if e.outcome == "completed" and e.attempts]
    if not done:
        return None
    return Cost(
        sum(e.device_hours for e in done) / len(done), sum(e.hours for e in done) / len(done)
    )


def left_of(entry: Entry) -> float:
    """The share of a run that is still to be run."""
    length = entry.setting["training"]["iterations"] if entry.setting else 0
    return 1 - entry.reached / length if length else 1.0
