"""The queue of background jobs (Huey), with patience for a database that is away.

Huey writes a stack for each try and tries again at once. Here a failed try is nothing found,
after a pause, and the outage is told in few lines.
"""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from huey import Huey
from huey.serializer import SignedSerializer
from huey.storage import PostgresStorage, SqliteStorage

from portal import outage
from portal.config import Config
from portal.database import client_options

_NAME = "gatepost"
_PAUSE_SECONDS = 1.0
_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, sqlite3.OperationalError)
_Found = TypeVar("_Found")


def make_huey(config: Config, secret_key: str) -> Huey:
    """The queue: a file of its own beside SQLite, or tables in PostgreSQL."""
    serializer = SignedSerializer(secret=secret_key)
    if config.is_sqlite:
        path = Path(config.data_dir) / "jobs.sqlite3"
        return Huey(
            _NAME, storage_class=_File, filename=str(path), serializer=serializer, results=False
        )
    url = config.database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    return Huey(
        _NAME,
        storage_class=_Tables,
        dsn=url,
        serializer=serializer,
        results=False,
        **client_options(url),
    )


class _Patient:
    """Over a storage of Huey: what cannot be asked holds nothing, and what cannot be written is
    left out. Only periodic jobs are written; their next run makes up for one that is left out."""

    _pause = threading.Event()

    def dequeue(self) -> bytes | None:
        return _try(super().dequeue, None, or_wait=self._pause)  # type: ignore[misc]

    def read_schedule(self, timestamp: Any) -> list[bytes]:
        return _try(lambda: super(_Patient, self).read_schedule(timestamp), [])  # type: ignore[misc]

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        _try(lambda: super(_Patient, self).enqueue(data, priority), None)  # type: ignore[misc]

    def has_data_for_key(self, key: str) -> bool:
        return _try(lambda: super(_Patient, self).has_data_for_key(key), False)  # type: ignore[misc]


class _File(_Patient, SqliteStorage):
    """The queue in a file."""


class _Tables(_Patient, PostgresStorage):
    """The queue in tables of PostgreSQL."""


def _try(
    act: Callable[[], _Found], nothing: _Found, *, or_wait: threading.Event | None = None
) -> _Found:
    """`or_wait`: pause after a failure, where the caller would come again at once."""
    try:
        found = _twice(act)
    except _AWAY as problem:
        outage.here.goes_on(problem)
        if or_wait is not None:
            or_wait.wait(_PAUSE_SECONDS)
        return nothing
    outage.here.is_over()
    return found


def _twice(act: Callable[[], _Found]) -> _Found:
    try:
        return act()
    except _AWAY:
        # The connection may be of before a restart; the next one is new.
        return act()
