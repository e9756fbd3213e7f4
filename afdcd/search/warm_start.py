"""`study.warm_start`: runs of other studies, as what a new study begins to learn from.

They are taken once and noted in the study, so that its proposals stay a function of its own database.
They are never its results: they are not ranked, not registered, cost nothing, and no baseline is one.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import optuna

from afdcd.config import UserError
from afdcd.search.kept import Kept, kept_study
from afdcd.search.load import SearchSpace
from afdcd.search.membership import parameters_in
from afdcd.search.policy.tried import tamed
from afdcd.search.policy.warm import WARM, Observation
from afdcd.search.records import is_maximised
from afdcd.search.rows import Entry
from afdcd.search.space import nodes
from afdcd.tasks.names import SEGMENTATION

MOST = 200  # runs of one study, the newest
# Variances, where scores of one study differ by about 1: of the same data and networks, and what is
# added where they are not the same.
ALIKE, OTHER_DATA, OTHER_SPLIT, OTHER_NETWORK, OTHER_LENGTH = 0.05, 0.4, 0.1, 0.1, 0.1


def take_over(database: optuna.Study, space: SearchSpace) -> list[str]:
    """Take what the named studies have, each once; a line for each that is new.

    Raises:
        UserError: no such study, one of another task, or one of which no run lies in this space.
    """
    known = database.user_attrs.get(WARM, {})
    taken = {
        name: known.get(name) or _taken(name, database, space) for name in space.study.warm_start
    }
    if taken != known:
        database.set_user_attr(WARM, taken)
    return [
        f"begins with what {len(runs)} runs of study {name!r} say; they are not results of this one"
        for name, runs in taken.items()
        if name not in known
    ]


def _taken(name: str, database: optuna.Study, space: SearchSpace) -> list[dict[str, Any]]:
    where = space.source.at(("study", "warm_start"))
    if name == database.study_name:
        raise UserError(f"{where}: {name} is this study itself; leave it out")
    other = kept_study(name)
    frames = (one.user_attrs.get("frame", {}) for one in (other.study, database))
    tasks = {frame.get("task", SEGMENTATION) for frame in frames}
    if is_maximised(other.study) != is_maximised(database) or len(tasks) > 1:
        raise UserError(f"{where}: study {name!r} is of another task; leave it out")
    done = [e for e in other.entries() if e.outcome == "completed" and e.value is not None]
    found = [(e, values) for e in done if (values := placed(space.space, e)) is not None]
    if not found:
        raise UserError(
            f"{where}: none of the {len(done)} completed runs of study {name!r} lies in this search "
            "space; leave it out, or search the methods and ranges that it searched"
        )
    scores = _scores(other, [entry for entry, _ in found])
    return [
        asdict(Observation(values, score, _noise(space, entry)))
        for (entry, values), score in list(zip(found, scores, strict=True))[-MOST:]
    ]


def placed(space: Any, entry: Entry) -> dict[str, Any] | None:
    """The values by path with which a space gives what a run's method was; None if it cannot.

    Data, lengths and machines may be others; so may networks, unless the space searches them.
    """
    searched = {path.partition(".")[0] for path, _ in nodes(space)}
    kept = {"distiller": space.get("distiller", {"method": "none"})}
    if "pair" in searched:
        kept["pair"] = space["pair"]
    training = {
        part: item
        for part, item in space.get("training", {}).items()
        if any(True for _ in nodes(item))
    }
    return next(parameters_in({**kept, "training": training}, entry.setting), None)


def _scores(other: Kept, entries: list[Entry]) -> list[float]:
    sign = 1 if is_maximised(other.study) else -1
    scores, _ = tamed(np.array([sign * (entry.value or 0.0) for entry in entries]))
    return [float(score) for score in scores - np.median(scores)]


def _noise(space: SearchSpace, entry: Entry) -> float:
    """The more, the less alike data, networks and length are."""
    here, there = space.examples[0].plain(), entry.setting or {}
    data, other = here["data"], there["data"]
    noise = ALIKE
    if data["dataset"] != other["dataset"]:
        noise += OTHER_DATA
    elif (data["protocol"], data["crop"]) != (other["protocol"], other["crop"]):
        noise += OTHER_SPLIT
    pairs = [example.pair.plain() for example in space.examples]
    for part in ("student", "teacher"):
        if all(_network(pair.get(part)) != _network(there["pair"].get(part)) for pair in pairs):
            noise += OTHER_NETWORK
    if here["training"]["iterations"] != there["training"]["iterations"]:
        noise += OTHER_LENGTH
    return noise


def _network(part: dict[str, Any] | None) -> Any:
    """Which network a student or teacher is, wherever its weights lie."""
    if part is None or "head" in part:
        return part
    return part.get("model") or part.get("weights")
