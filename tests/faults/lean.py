"""What two libraries do anew in every session or process, although it comes to the same in every case.

The databases stay real: what is asked of them, and what they keep, is as it always is.
"""

from collections.abc import Callable
from typing import Any

import pytest
from mlflow.store.db import utils
from mlflow.store.model_registry import sqlalchemy_store as registry
from optuna.storages._rdb.storage import _VersionManager
from sqlalchemy import event

# What MLflow tells SQLite in each of its sessions; a connection keeps it.
PRAGMAS = ("foreign_keys = ON", "busy_timeout = 20000", "case_sensitive_like = true")
_newest: list[str] = []  # of the schemas that Optuna has migrations for


def install(patch: pytest.MonkeyPatch) -> None:
    make = utils._get_managed_session_maker
    for place in (utils, registry):
        patch.setattr(place, "_get_managed_session_maker", lambda *given: _sessions(make, *given))
    read = _VersionManager.get_head_version
    patch.setattr(_VersionManager, "get_head_version", lambda manager: _once(read, manager))
    # With it MLflow watches each session that reads for a write.
    patch.delenv("PYTEST_CURRENT_TEST", raising=False)


def _sessions(make: Callable[..., Any], sessions: Any, kind: str) -> Any:
    """MLflow's sessions, with the pragmas once for each connection and not in each of them."""
    event.listen(sessions.kw["bind"], "connect", _tell)
    return make(sessions, f"{kind}, told already")


def _tell(connection: Any, record: Any) -> None:
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _once(read: Callable[[Any], str], manager: Any) -> str:
    """Optuna reads the files of all its migrations whenever a study database is opened."""
    if not _newest:
        _newest.append(read(manager))
    return _newest[0]
