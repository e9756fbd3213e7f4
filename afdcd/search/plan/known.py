"""What runs of the same kind have cost before, from the ledgers in the study database.

Optuna is not imported for it, which takes longer than all of `--check` may.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from afdcd.environment import study_database, study_file
from afdcd.search.earlier import setting_of_today
from afdcd.search.plan.interval import Interval
from afdcd.training.trial import TrialConfig

PATIENCE = 3  # seconds for a server to answer; the plan is made without it otherwise
SPREAD = 0.15  # beyond the cheapest and the dearest run that was seen
_ROWS = """
    SELECT trial_id, key, value_json FROM trial_user_attributes
    WHERE key IN ('setting', 'attempts') AND trial_id IN
        (SELECT trial_id FROM trials WHERE state = 'COMPLETE')
"""
Ledgers = dict[str, list[float]]  # kind of run -> device-seconds per iteration of each


def ledgers() -> Ledgers:
    """Of every completed run in the study database; empty where there is none yet, or it is none."""
    found = defaultdict[str, list[float]](list)
    try:
        for setting, attempts in _runs(_rows()):
            seconds = sum((a["at"] - a["started"]) * a["devices"] for a in attempts)
            if attempts and (iterations := setting["training"]["iterations"]):
                found[_kind(setting, attempts[-1]["device"])].append(seconds / iterations)
    except (ValueError, KeyError, TypeError):
        return {}
    return found


def device_seconds(
    config: TrialConfig, known: Ledgers, *, gpu: bool
) -> tuple[Interval, int] | None:
    """Of an iteration of such a run, all that it costs included, and from how many runs."""
    seen = known.get(_kind(config.plain(), "cuda" if gpu else "cpu"))
    if not seen:
        return None
    low, high = (1 - SPREAD) * min(seen), (1 + SPREAD) * max(seen)
    return Interval(low, sum(seen) / len(seen), high), len(seen)


def _rows() -> Iterable[tuple[int, str, str]]:
    """None of a database that cannot be read: `tune` itself says what is wrong with it."""
    file = study_file()
    if file is None:
        return _rows_of_server()
    if not file.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            return database.execute(_ROWS).fetchall()
    except sqlite3.Error:
        return []


def _rows_of_server() -> Iterable[tuple[int, str, str]]:
    import sqlalchemy  # for which nobody else need wait

    try:
        engine = sqlalchemy.create_engine(
            study_database(),
            connect_args={"connect_timeout": PATIENCE},
            poolclass=sqlalchemy.NullPool,  # a driver asks once, and would keep the connection
        )
        with closing(engine.connect()) as connection:
            return [tuple(row) for row in connection.execute(sqlalchemy.text(_ROWS))]
    except (sqlalchemy.exc.SQLAlchemyError, ImportError):
        return []


def _runs(found: Iterable[tuple[int, str, str]]) -> Iterator[tuple[Any, Any]]:
    rows: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial, key, value in found:
        rows[trial][key] = json.loads(value)
    for row in rows.values():
        if "setting" in row and "attempts" in row:
            yield row["setting"], row["attempts"]


def _kind(setting: dict[str, Any], device: str) -> str:
    """What the cost of an iteration depends on first of all; settings of the method are left out."""
    setting = setting_of_today(setting)
    pair, data, method = setting["pair"], setting["data"], setting["distiller"]["method"]
    teacher = (pair["teacher"] or {}).get("model") if method != "none" else None
    parts = (pair["student"], teacher, method, data["dataset"], data["crop"])
    training = setting["training"]
    share = (training["batch"], setting["resources"]["workers"], training.get("accumulate", 1))
    more = (*share, device)
    return json.dumps([*parts, *more], sort_keys=True)
