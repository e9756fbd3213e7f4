"""Which database a URL means, however it is spelled.

MLflow and a study keep their tables under names that clash, so each needs a database of its own.
"""

import re
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from afdcd.config import UserError
from afdcd.text import shown

PORTS = {"https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433, "oracle": 1521}
_HERE = ("", "localhost", "127.0.0.1", "::1")
_SCHEMA = re.compile(r"search_path\s*=\s*([^\s]+)")


def check_apart(tracking: str, study: str) -> None:
    """Whether MLflow and the study have each a database of their own.

    Raises:
        UserError: both URLs mean the same one.
    """
    if meant(tracking) is not None and meant(tracking) == meant(study):
        raise UserError(
            f"MLFLOW_TRACKING_URI={shown(tracking)} and AFDCD_STUDY_DB={shown(study)} are one "
            "database, in which neither can keep its tables: name another for one of them, e.g. "
            "AFDCD_STUDY_DB=sqlite:////folder/study.db"
        )


def meant(url: str) -> tuple[str, ...] | None:
    """Equal for two URLs exactly if they mean the same database; None where it is none of a file or
    server, as an MLflow server's address."""
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        return None
    kind = parts.get_backend_name()
    if kind in ("http", "https", "file", "databricks"):
        return None
    if kind == "sqlite":
        return _file(parts.database or "")
    return _served("mysql" if kind == "mariadb" else kind, parts)


def _file(database: str) -> tuple[str, ...] | None:
    if database.startswith("file:"):  # a URI of SQLite's own
        database = unquote(re.split("[?#]", database.removeprefix("file:"))[0])
        database = "/" + database.lstrip("/") if database.startswith("//") else database
    if database in ("", ":memory:"):
        return None  # every connection has its own
    return ("sqlite", str(Path(database).resolve()))


def _served(kind: str, parts: URL) -> tuple[str, ...]:
    """Drivers, users, passwords and most options change the way to a database, and not which it is."""

    def option(name: str) -> str:
        found = parts.query.get(name, "")
        return found if isinstance(found, str) else found[0]

    host = (parts.host or option("host") or option("unix_socket")).lower()
    port = parts.port or option("port") or PORTS.get(kind, "")
    schema = _SCHEMA.search(option("options"))  # a name space of its own within the database
    name = parts.database or parts.username or ""
    here = "localhost" if host in _HERE else host
    return (kind, here, str(port), name, schema[1] if schema else "")
