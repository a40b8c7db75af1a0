"""PostgreSQL: tables copied in one snapshot, and put in place by one transaction."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import MetaData, make_url

from portal.cli.archive.manifest import Manifest
from portal.cli.archive.stores import KEY_TABLE, SCHEMA_TABLE, TELLING_TABLES, Copied
from portal.cli.failures import Failed
from portal.config import Config
from portal.extensions import db

_SUFFIX = ".copy"
# The queue of `portal jobs` is made anew at its start; its jobs look at the tables themselves.
_NOT_OURS = "huey"
_PORTION = 256 * 1024
_STAGED = "gatepost_restore_"
# The schemas of restores that are under way, or were killed.
LEFT_BEHIND = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^gatepost_restore_[0-9a-f]{8}$'"
_Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class PostgresqlStore:
    """The tables of an installation, in the first schema of the search path."""

    config: Config
    name: str = "postgresql"

    def copy(self, folder: Path) -> Copied:
        """One moment of all tables; nobody is held up. Raises Failed."""
        with _connected(self.config, "copied") as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            connection.execute("SET LOCAL datestyle = 'ISO'")
            tables = _tables(connection)
            columns = {name: _columns(connection, name) for name in tables}
            for name in tables:
                _copy_out(connection, name, columns[name], folder / f"{name}{_SUFFIX}")
            return Copied(
                parts=tuple(f"{name}{_SUFFIX}" for name in tables),
                schema=_first(connection, SCHEMA_TABLE, "version_num", tables),
                rows={name: _count(connection, name) for name in tables},
                key_ids=tuple(_values(connection, KEY_TABLE, "id", tables)),
                columns=columns,
            )

    def is_used(self) -> bool:
        with _connected(self.config, "read") as connection:
            there = set(_tables(connection))
            return any(
                _first(connection, name, "id", list(there)) is not None for name in TELLING_TABLES
            )

    @contextmanager
    def stage(self, folder: Path, manifest: Manifest) -> Iterator["StagedSchema"]:
        """A schema of its own for the archive's tables."""
        schema = f"{_STAGED}{os.urandom(4).hex()}"
        with _connected(self.config, "written") as connection:
            for left in _left_behind(connection):
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(left)))
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        try:
            yield StagedSchema(_within(self.config, schema), schema, self.config, folder, manifest)
        finally:
            with _connected(self.config, "cleaned") as connection:
                connection.execute(
                    sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
                )


@dataclass(frozen=True)
class StagedSchema:
    """The archive's tables in a schema of their own. `config` reaches them, `target` the others."""

    config: Config
    schema: str
    target: Config
    folder: Path = field(repr=False)
    manifest: Manifest = field(repr=False)

    def load(self) -> None:
        """Fill the tables, in the order that their references ask for. Raises Failed."""
        found = MetaData()
        found.reflect(db.engine)
        names = [table.name for table in found.sorted_tables if table.name in self.manifest.rows]
        db.engine.dispose()
        if missing := sorted(self.manifest.rows.keys() - set(names)):
            raise Failed(f"The archive holds a table that its schema lacks: {missing[0]}.")
        with _connected(self.config, "filled") as connection:
            for name in names:
                self._fill(connection, name)

    def put_in_place(self) -> Iterator[str]:
        """Drop the tables in use and move the others there. Raises Failed while others connect."""
        with _connected(self.target, "written") as connection:
            _require_alone(connection)
            connection.execute("SET LOCAL lock_timeout = '5s'")
            restored = _tables(connection, self.schema)
            (current,) = connection.execute("SELECT current_schema()").fetchone() or ("public",)
            for name in {*_tables(connection)} & {*restored, *db.metadata.tables}:
                connection.execute(
                    sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(current, name))
                )
            for name in restored:
                connection.execute(
                    sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(
                        sql.Identifier(self.schema, name), sql.Identifier(current)
                    )
                )
        yield from ()

    def _fill(self, connection: _Connection, name: str) -> None:
        # The migration has put its own revision there already.
        connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(name), _listed(self.manifest.columns[name])
        )
        with (
            connection.cursor().copy(statement) as copy,
            (self.folder / f"{name}{_SUFFIX}").open("rb") as file,
        ):
            while portion := file.read(_PORTION):
                copy.write(portion)
        if (found := _count(connection, name)) != self.manifest.rows[name]:
            raise Failed(f"{name} has {found} rows, not {self.manifest.rows[name]} as backed up.")


@contextmanager
def _connected(config: Config, doing: str) -> Iterator[_Connection]:
    """A connection whose transaction ends with the block. Raises Failed without the URL."""
    url = make_url(config.database_url).set(drivername="postgresql")
    try:
        with psycopg.connect(
            url.render_as_string(hide_password=False), client_encoding="utf8"
        ) as connection:
            yield connection
    except psycopg.Error as problem:
        cause = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise Failed(
            f"The PostgreSQL database cannot be {doing}: {cause}. "
            "Check PORTAL_DATABASE_URL, that the server runs, and that its user may create "
            "schemas in this database."
        ) from None


def _within(config: Config, schema: str) -> Config:
    """The same database with another schema in front, and nothing behind it."""
    url = make_url(config.database_url)
    given = url.query.get("options", "")
    options = f"{given} -csearch_path={schema}".strip()
    chosen = url.update_query_dict({"options": options})
    return replace(config, database_url=chosen.render_as_string(hide_password=False))


def _left_behind(connection: _Connection) -> list[str]:
    """The schemas of restores that were killed."""
    return [name for (name,) in connection.execute(LEFT_BEHIND)]


def _require_alone(connection: _Connection) -> None:
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND usename = current_user AND pid <> pg_backend_pid()"
    ).fetchone()
    if row and row[0]:
        raise Failed(
            f"The database is in use: {row[0]} other connections of its user. Stop the portal "
            "(up, web, worker, jobs) on every machine and close what else is connected, then run "
            "the command again. Nothing was changed."
        )


def _tables(connection: _Connection, schema: str | None = None) -> list[str]:
    found = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = coalesce(%s, current_schema())"
        " ORDER BY tablename",
        (schema,),
    )
    return [name for (name,) in found if not name.startswith(_NOT_OURS)]


def _columns(connection: _Connection, table: str) -> list[str]:
    found = connection.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = %s AND is_generated = 'NEVER'"
        " ORDER BY ordinal_position",
        (table,),
    )
    return [name for (name,) in found]


def _copy_out(connection: _Connection, table: str, columns: list[str], path: Path) -> None:
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(sql.Identifier(table), _listed(columns))
    with connection.cursor().copy(statement) as copy, path.open("wb") as file:
        for portion in copy:
            file.write(portion)


def _listed(columns: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _count(connection: _Connection, table: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _values(connection: _Connection, table: str, column: str, tables: list[str]) -> list[str]:
    """A column of a table, where the table is there."""
    if table not in tables:
        return []
    query = sql.SQL("SELECT {0} FROM {1} ORDER BY {0} LIMIT 1000").format(
        sql.Identifier(column), sql.Identifier(table)
    )
    return [str(value) for (value,) in connection.execute(query)]


def _first(connection: _Connection, table: str, column: str, tables: list[str]) -> str | None:
    return next(iter(_values(connection, table, column, tables)), None)
