"""The table of leases in the study database: who may do what, as of the last beat."""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Float,
    MetaData,
    String,
    Table,
    create_engine,
    select,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from afdcd.config import UserError
from afdcd.search import holder
from afdcd.text import first_line, shown

table = Table(
    "afdcd_leases",
    MetaData(),
    Column("name", String(200), primary_key=True),
    Column("token", BigInteger, nullable=False),  # of the last holder, one more than the one before
    Column("holder", String(200), nullable=False),  # empty where it was given back
    Column("process", String(200), nullable=False),
    Column("since", Float, nullable=False),  # Unix seconds of the holder's clock, for people
    Column("beat", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Held:
    """A lease as its row says."""

    token: int
    holder: str
    process: str
    since: float
    beat: int

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"{self.holder} since {when}"


def connect(url: str) -> Engine:
    """The database `url`, with the table.

    Raises:
        UserError: it cannot be used.
    """
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    engine = create_engine(url, pool_pre_ping=True, **options)
    try:
        table.create(engine, checkfirst=True)
    except SQLAlchemyError as error:
        if not _exists(engine):  # else another driver made it in the same moment
            raise UserError(
                f"study database {shown(url)}: cannot be used ({first_line(error)}); "
                "check AFDCD_STUDY_DB"
            ) from None
    return engine


def read(engine: Engine, name: str) -> Held | None:
    with engine.connect() as connection:
        row = connection.execute(select(table).where(table.c.name == name)).one_or_none()
    return Held(row.token, row.holder, row.process, row.since, row.beat) if row else None


def claim(engine: Engine, name: str, held: Held | None, process: str) -> int | None:
    """The token of the new holder, if the lease is as it was seen; None if another was quicker."""
    now = time.time()
    # Of the time, so that it rises even where a database was restored or replaced.
    token = max(int(now), held.token + 1 if held else 1)
    own = {"holder": holder.name(), "process": process, "since": now, "beat": 0, "token": token}
    if held:
        same = (table.c.token == held.token, table.c.beat == held.beat)
        return token if write(engine, name, *same, **own) else None
    try:
        with engine.begin() as connection:
            connection.execute(table.insert().values(name=name, **own))
        return token
    except IntegrityError:
        return None


def write(engine: Engine, name: str, *conditions: Any, **values: Any) -> bool:
    """Change the row, if it is as the conditions say; whether it was."""
    with engine.begin() as connection:
        change = table.update().where(table.c.name == name, *conditions).values(**values)
        return connection.execute(change).rowcount == 1


def _exists(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            connection.execute(select(table.c.name).limit(1))
        return True
    except SQLAlchemyError:
        return False
