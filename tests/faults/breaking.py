"""A database that refuses what a portal writes, as it does when its disk is full or broken."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import create_engine, event, text

from portal.config import Config
from portal.extensions import db

_TRIGGER = "the_disk"


class Disk:
    """The disk as one worker process meets it: full between `fill` and `free`.

    On SQLite the process may not write a byte to any file, its log included. PostgreSQL writes
    by itself: it answers each change of a delivery as it does when it finds its disk full.
    """

    def __init__(self, config: Config, pid: int) -> None:
        self._config = config
        self._pid = pid

    def fill(self) -> None:
        if self._config.is_sqlite:
            self._limit(1)
        else:
            refuse(self._config, "deliveries", "UPDATE", "disk_full")

    def free(self) -> None:
        if self._config.is_sqlite:
            self._limit(resource.RLIM_INFINITY)
        else:
            obey(self._config, "deliveries")

    def _limit(self, size: int) -> None:
        _, hard = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (size, hard))


def refuse(config: Config, table: str, what: str, condition: str) -> None:
    """From now on PostgreSQL answers this kind of statement with that error condition; SQLite
    with a constraint's."""
    if config.is_sqlite:
        _run(
            config,
            f"CREATE TRIGGER {_TRIGGER} BEFORE {what} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{condition}'); END",
        )
        return
    _run(
        config,
        f"CREATE OR REPLACE FUNCTION {_TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE '{condition}' USING ERRCODE = '{condition}'; END $$",
        f"CREATE TRIGGER {_TRIGGER} BEFORE {what} ON {table} EXECUTE FUNCTION {_TRIGGER}()",
    )


def obey(config: Config, table: str) -> None:
    _run(config, f"DROP TRIGGER {_TRIGGER}" + ("" if config.is_sqlite else f" ON {table}"))


def _run(config: Config, *statements: str) -> None:
    # The test's own transaction would be waited for.
    db.session.rollback()
    engine = create_engine(config.database_url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@contextmanager
def full_disk(app: Flask, config: Config) -> Iterator[None]:
    """The disk as the web meets it: no row finds room any more."""
    if not config.is_sqlite:
        refuse(config, "payloads", "INSERT", "disk_full")
        yield
        obey(config, "payloads")
        return
    with app.app_context():
        db.session.remove()
        engine = db.engine
        engine.dispose()

    def no_page_more(connection: object, _entry: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    event.listen(engine, "connect", no_page_more)
    yield
    event.remove(engine, "connect", no_page_more)
    engine.dispose()
