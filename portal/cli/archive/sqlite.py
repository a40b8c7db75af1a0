"""A SQLite file: copied by the online backup, put in place by a rename."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from portal.cli.archive.manifest import Manifest
from portal.cli.archive.stores import KEY_TABLE, SCHEMA_TABLE, TELLING_TABLES, Copied
from portal.cli.failures import Failed
from portal.config import Config

PART = "database.sqlite3"
_BESIDE = ("-wal", "-shm", "-journal")
_SECONDS = 5.0


@dataclass(frozen=True)
class SqliteStore:
    """The database file of an installation."""

    config: Config
    file: Path
    name: str = "sqlite"

    def copy(self, folder: Path) -> Copied:
        """One moment of the database; writers are not held up. Raises Failed."""
        if not self.file.exists():
            raise Failed(f"The database {self.file} is not there. Nothing to back up.")
        try:
            with (
                closing(sqlite3.connect(self.file, timeout=_SECONDS)) as source,
                closing(sqlite3.connect(folder / PART, isolation_level=None)) as target,
            ):
                source.backup(target)
                # One file, without a log beside it.
                target.execute("PRAGMA journal_mode = DELETE")
                return _described(target)
        except sqlite3.Error as problem:
            _refuse_target(problem)
            raise Failed(
                f"The database {self.file} cannot be copied: {problem}. Run: portal doctor"
            ) from None

    def is_used(self) -> bool:
        if not self.file.exists():
            return False
        try:
            with closing(sqlite3.connect(self.file, timeout=_SECONDS)) as connection:
                there = set(_tables(connection))
                return any(
                    connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()  # noqa: S608
                    for name in TELLING_TABLES
                    if name in there
                )
        except sqlite3.Error:
            return True  # damaged, or none of ours: not to be lost unasked

    @contextmanager
    def stage(self, folder: Path, manifest: Manifest) -> Iterator["StagedFile"]:
        """The archive's file beside the one in use."""
        # The same folder: a rename from elsewhere would not be one step.
        staged = self.file.with_name(f".{self.file.name}.{os.urandom(4).hex()}")
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self.file.parent.glob(f".{self.file.name}.*"):
                left.unlink()  # by a restore that was killed
            staged.touch(mode=0o600, exist_ok=False)
            shutil.copyfile(folder / PART, staged)
            config = replace(self.config, database_url=f"sqlite:///{staged}")
            yield StagedFile(config, staged, self.file)
        finally:
            for path in (staged, *_beside(staged)):
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class StagedFile:
    """The archive's file under a name of its own."""

    config: Config
    staged: Path
    file: Path

    def load(self) -> None:
        """The file came whole."""

    def put_in_place(self) -> Iterator[str]:
        """Take the place of the file in use. Raises Failed while somebody has it open."""
        with closing(sqlite3.connect(self.staged, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        _make_durable(self.staged)
        if not self.file.exists():
            self._rename()
            return
        with closing(sqlite3.connect(self.file, timeout=1.0, isolation_level=None)) as held:
            if _lock(held, self.file):
                self._rename()
                return
        self._take_over_damaged()
        yield f"The damaged database was kept as {self.file}.damaged."

    def _rename(self) -> None:
        self.staged.replace(self.file)
        _make_durable(self.file.parent)

    def _take_over_damaged(self) -> None:
        """A damaged file is kept: somebody may yet read something from it."""
        aside = {
            path: path.with_name(f"{path.name}.damaged")
            for path in (*_beside(self.file), self.file)
            if path.exists()
        }
        try:
            for path, kept in aside.items():
                path.replace(kept)
            self._rename()
        except OSError:
            for path, kept in aside.items():
                if kept.exists():
                    kept.replace(path)
            raise


def _lock(connection: sqlite3.Connection, file: Path) -> bool:
    """Nobody else has it open, nor can until the connection is closed. False: it is damaged.

    Leaving the write-ahead log needs a lock that every open connection refuses.
    """
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return False
        raise Failed(
            f"{file} is in use. Stop the portal (up, web, worker, jobs), then run the command "
            "again. Nothing was changed."
        ) from None
    except sqlite3.DatabaseError:
        return False
    return True


def _refuse_target(problem: sqlite3.Error) -> None:
    """Raises OSError for what only the copy can meet: the database itself is not written to."""
    code = getattr(problem, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    if code == sqlite3.SQLITE_IOERR_WRITE:
        # It does not say why; a limit on the size of files is the likely cause.
        raise OSError(errno.EFBIG, str(problem)) from None


def _described(connection: sqlite3.Connection) -> Copied:
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(f"it is damaged ({said})")
    tables = _tables(connection)
    counts = {name: f'SELECT count(*) FROM "{name}"' for name in tables}  # noqa: S608
    rows = {name: connection.execute(query).fetchone()[0] for name, query in counts.items()}
    return Copied((PART,), _schema(connection, tables), rows, _key_ids(connection, tables), {})


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return sorted(name for (name,) in found)


def _schema(connection: sqlite3.Connection, tables: list[str]) -> str | None:
    if SCHEMA_TABLE not in tables:
        return None
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return found[0] if found else None


def _key_ids(connection: sqlite3.Connection, tables: list[str]) -> tuple[str, ...]:
    if KEY_TABLE not in tables:
        return ()
    return tuple(row[0] for row in connection.execute("SELECT id FROM encryption_keys ORDER BY id"))


def _beside(file: Path) -> list[Path]:
    return [file.with_name(file.name + ending) for ending in _BESIDE]


def _make_durable(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
