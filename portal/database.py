"""How the two engines are spoken to: transactions, durability, time and JSON columns.

Both wait five seconds for a lock and fail then, so that no caller hangs behind another process.
SQLite: WAL, synchronous FULL, foreign keys. A transaction that may write begins IMMEDIATE,
because a reader that upgrades meets SQLITE_BUSY at once; pages that only read begin DEFERRED
(`reading_only`), so that they never wait for a writer.

PostgreSQL is another machine, which can vanish without a word, and we from it. Whoever is left must
notice by itself: TCP alone takes a quarter of an hour where something was on its way, and two hours
where nothing was, and all that while the server keeps a transaction open with the locks of its
rows. So each end gives the other up after seconds, and a transaction in which nothing happens ends.
"""

import enum
import sqlite3
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    Connection,
    CursorResult,
    DateTime,
    Dialect,
    Engine,
    Enum,
    Result,
    event,
    make_url,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

LOCK_TIMEOUT = "5s"
_WAIT_FOR_LOCK = "PRAGMA busy_timeout = 5000"
# In seconds; together as long as LOCK_TIMEOUT, or as long as it takes to look so often.
_LOOK_AGAIN = 0.0005
_LOOKS_FOR_LOCK = 8000
# Whoever is in no hurry looks this many times less often.
_PATIENCE = 40
# By libpq, over TCP only. Seconds, `tcp_user_timeout` milliseconds.
_CLIENT = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# By the server, for each connection; those of TCP do nothing on a socket of the same machine. No
# transaction of ours waits for anything but the database.
_SERVER = {
    "lock_timeout": LOCK_TIMEOUT,
    "idle_in_transaction_session_timeout": "15s",
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15s",
}
JsonColumn = JSON().with_variant(JSONB(), "postgresql")

_reads_only: ContextVar[bool] = ContextVar("reads_only", default=False)
_hurries: ContextVar[bool] = ContextVar("hurries", default=True)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC. PostgreSQL keeps it as timestamptz, SQLite as naive UTC text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def text_enum(values: type[enum.StrEnum]) -> Enum:
    """A column that stores the value of a StrEnum as text and gives the member back."""
    return Enum(
        values,
        native_enum=False,
        create_constraint=False,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


def rows_changed(result: Result[Any]) -> int:
    """How many rows an UPDATE or DELETE touched."""
    return cast(CursorResult[Any], result).rowcount


def is_away(problem: Exception) -> bool:
    """Whether the database could not be spoken to, rather than having refused what was said."""
    if isinstance(problem, DBAPIError) and problem.connection_invalidated:
        return True
    return isinstance(problem, (OperationalError, InterfaceError, PoolTimeout))


def reading_only(reads_only: bool) -> None:
    """Say whether transactions begun from here on in this thread only read."""
    _reads_only.set(reads_only)


def in_a_hurry(hurries: bool) -> None:
    """Say whether transactions begun from here on in this thread are short. On SQLite one that is
    not lets those of all others begin before it."""
    _hurries.set(hurries)


def engine_options(database_url: str) -> dict[str, Any]:
    """Options for SQLAlchemy's create_engine."""
    # An error names its statement and not the values: they are people's addresses and letters.
    common = {"hide_parameters": True}
    if database_url.startswith("sqlite"):
        return common | {"connect_args": {"timeout": 5, "check_same_thread": False}}
    return common | {
        "pool_pre_ping": True,
        "pool_size": 10,
        "max_overflow": 20,
        "pool_timeout": 5,
        "connect_args": client_options(database_url),
    }


def client_options(database_url: str) -> dict[str, Any]:
    """What libpq is told beside the URL, so that it gives up a server that vanished. What the URL
    says of them holds."""
    given = make_url(database_url).query
    return {name: value for name, value in _CLIENT.items() if name not in given}


def prepare(engine: Engine) -> None:
    """Attach what each connection needs to an engine."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _configure_postgresql)


def _configure_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own transaction handling begins too late and never IMMEDIATE.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(_WAIT_FOR_LOCK)


def _begin_sqlite(connection: Connection) -> None:
    if _reads_only.get():
        connection.exec_driver_sql("BEGIN DEFERRED")
    elif not _began(cast(sqlite3.Connection, connection.connection.driver_connection)):
        # Its last try, which says what is wrong.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _began(connection: sqlite3.Connection) -> bool:
    """Wait for the one write lock in short sleeps. SQLite's own grow up to a tenth of a second:
    whoever writes often then shuts out all the others."""
    connection.execute("PRAGMA busy_timeout = 0")
    times = 1 if _hurries.get() else _PATIENCE
    try:
        for _ in range(_LOOKS_FOR_LOCK // times):
            try:
                connection.execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.OperationalError as problem:
                if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    break
                time.sleep(_LOOK_AGAIN * times)
    finally:
        connection.execute(_WAIT_FOR_LOCK)
    return False


def _configure_postgresql(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in _SERVER.items()))
    connection.commit()
