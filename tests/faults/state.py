"""What a study has left everywhere, without what may differ: ids, times, and how often it was begun."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

State = dict[str, Any]  # one line of what is found, by where it is
PARENT = "mlflow.parentRunId"
# Of a row: what an attempt was, not what became of the run. Of a study: how long its drivers worked.
PASSING = ("losses", "worked_hours")
# Of the study's page: how its numbers grew is not repeated, only what they came to.
FILES = ("pulse.json", "writable")


def state_of(root: Path) -> State:
    """Of the storage folder `root`, in which both databases lie."""
    with closing(sqlite3.connect(root / "study.db")) as database:
        id_ = _value(database, "SELECT value_json FROM study_user_attributes WHERE key = 'id'")
        found = dict(_rows(database))
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        names = _names(database)
        found |= dict(_pages(database, names))
        found |= dict(_registry(database, names))
    found |= dict(_files(root))
    plain = {_plain(key, id_, names): _plain(value, id_, names) for key, value in found.items()}
    return dict(sorted(plain.items()))


def difference(state: State, expected: State) -> list[str]:
    """One line for everything that is not as expected."""
    return [
        f"{key}: {state.get(key, 'missing')}, expected {expected.get(key, 'nothing')}"
        for key in sorted({*state, *expected})
        if state.get(key) != expected.get(key)
    ]


def _rows(database: sqlite3.Connection) -> Iterator[tuple[str, Any]]:
    """Every row of the study database."""
    query = "SELECT trial_id, number, state FROM trials ORDER BY number"
    for id_, number, state in database.execute(query).fetchall():
        row = f"row {number}"
        yield row, state
        for key, value in _of(database, "trial_user_attributes", "key, value_json", id_):
            if key not in PASSING:
                yield f"{row} {key}", value
        for step, value in _of(
            database, "trial_intermediate_values", "step, intermediate_value", id_
        ):
            yield f"{row} at {step}", value
        for _, value in _of(database, "trial_values", "objective, value", id_):
            yield f"{row} value", value
        for name, value in _of(database, "trial_params", "param_name, param_value", id_):
            yield f"{row} param {name}", value
    for key, value in database.execute("SELECT key, value_json FROM study_user_attributes"):
        if key not in PASSING:
            yield f"study {key}", value
    for name, holder in database.execute("SELECT name, holder FROM afdcd_leases"):
        yield f"lease {name}", holder


def _of(database: sqlite3.Connection, table: str, columns: str, trial: int) -> list[Any]:
    query = f"SELECT {columns} FROM {table} WHERE trial_id = ? ORDER BY 1"
    return database.execute(query, (trial,)).fetchall()


def _names(database: sqlite3.Connection) -> dict[str, str]:
    """The id of each MLflow run -> what it is called here."""
    query = "SELECT run_uuid, value FROM tags WHERE key = 'afdcd.job' ORDER BY run_uuid"
    names: dict[str, str] = {}
    for run, job in database.execute(query):
        again = sum(1 for name in names.values() if name.partition(" again")[0] == job)
        names[run] = f"{job} again {again}" if again else job
    return names


def _pages(database: sqlite3.Connection, names: dict[str, str]) -> Iterator[tuple[str, Any]]:
    query = "SELECT run_uuid, name, status, lifecycle_stage FROM runs"
    for run, *told in database.execute(query):
        yield f"page {names.get(run, run)}", told
    for run, key, value in database.execute("SELECT run_uuid, key, value FROM tags"):
        if key == PARENT or not key.startswith("mlflow."):
            yield f"page {names.get(run, run)} tag {key}", value
    for run, key, value in database.execute("SELECT run_uuid, key, value FROM params"):
        yield f"page {names.get(run, run)} param {key}", value
    metrics: dict[str, list[Any]] = {}
    query = "SELECT run_uuid, key, step, value FROM metrics ORDER BY step, timestamp"
    for run, key, step, value in database.execute(query):
        metrics.setdefault(f"page {names.get(run, run)} metric {key}", []).append((step, value))
    for where, points in metrics.items():
        yield where, points[-1] if where.startswith("page study ") else points
    query = "SELECT destination_id FROM inputs"
    for (run,) in database.execute(query):
        yield f"page {names.get(run, run)} data set", "listed"


def _registry(database: sqlite3.Connection, names: dict[str, str]) -> Iterator[tuple[str, Any]]:
    for name, about in database.execute("SELECT name, description FROM registered_models"):
        yield f"model {name}", about
    for name, key, value in database.execute("SELECT name, key, value FROM registered_model_tags"):
        yield f"model {name} tag {key}", value
    for name, alias, version in database.execute(
        "SELECT name, alias, version FROM registered_model_aliases"
    ):
        yield f"model {name} alias {alias}", version
    query = "SELECT name, version, run_id, status, description FROM model_versions"
    for name, version, run, *told in database.execute(query):
        yield f"model {name} version {version}", [names[run], *told]
    query = "SELECT name, version, key, value FROM model_version_tags"
    for name, version, key, value in database.execute(query):
        yield f"model {name} version {version} tag {key}", value


def _files(root: Path) -> Iterator[tuple[str, Any]]:
    for path in root.rglob("*"):
        if path.is_file() and path.name not in FILES and path.parent != root:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            place = path.relative_to(root).as_posix()
            ours = path.name == "study.json" or path.parent.name == "journal"
            yield f"file {place}", _timeless(path) if ours else digest


def _timeless(path: Path) -> str:
    values = json.loads(path.read_text())
    values.pop("at", None)
    return json.dumps(values)


def _value(database: sqlite3.Connection, query: str) -> str:
    return json.loads(database.execute(query).fetchone()[0])


def _plain(value: Any, study: str, names: dict[str, str]) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    for id_, name in {study: "STUDY", study[:8]: "STUDY", **names}.items():
        text = text.replace(id_, name)
    return text
