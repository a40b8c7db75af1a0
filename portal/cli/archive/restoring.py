"""Restoring: check everything, build the tables beside those in use, then change over at once."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from portal.app import create_app
from portal.audit import log
from portal.audit.log import OPERATOR
from portal.cli import database
from portal.cli.archive import key_files, package
from portal.cli.archive.manifest import Manifest
from portal.cli.archive.postgresql import PostgresqlStore
from portal.cli.archive.sqlite import SqliteStore
from portal.cli.archive.stores import Staged, Store
from portal.cli.checks import machine
from portal.cli.failures import Failed
from portal.config import Config
from portal.delivery import restoring
from portal.extensions import db

_PREFIX = ".restore-"


@dataclass(frozen=True)
class Wish:
    """What the operator asked for."""

    archive: Path
    replace: bool
    send_waiting: bool


@dataclass(frozen=True)
class Restored:
    """What came back. `waiting`: mail that waited when the backup was made."""

    manifest: Manifest
    waiting: int
    lines: tuple[str, ...]


def store_of(config: Config) -> Store:
    """The engine of this installation."""
    file = machine.database_file(config)
    return SqliteStore(config, file) if file is not None else PostgresqlStore(config)


def restore(config: Config, wish: Wish) -> Restored:
    """Put an archive in place of what is there. Raises Failed, and has changed nothing then."""
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = store_of(config)
    with _folder(config.data_dir) as folder:
        manifest = package.unpack(wish.archive, folder)
        _require_same_engine(store, manifest)
        key_files.require(config, manifest, folder)
        if not wish.replace and store.is_used():
            raise Failed(
                "This installation is in use: it has people, organizations or mail. To put the "
                "backup in their place, stop the portal and add --replace. Nothing was changed."
            )
        with store.stage(folder, manifest) as staged:
            waiting = _prepare(staged, manifest, wish)
            lines = tuple(_change_over(config, manifest, folder, staged))
    return Restored(manifest, waiting, lines)


@contextmanager
def _folder(data_dir: Path) -> Iterator[Path]:
    """A folder for the archive's parts. What a restore that was killed left behind goes, as it
    may hold keys. Raises Failed while another restore is under way.
    """
    lock = os.open(data_dir, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in data_dir.glob(f"{_PREFIX}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=data_dir) as name:
            yield Path(name)
    except BlockingIOError:
        raise Failed("Another restore is under way here. Wait until it has ended.") from None
    finally:
        os.close(lock)


def _require_same_engine(store: Store, manifest: Manifest) -> None:
    if manifest.engine != store.name:
        names = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
        raise Failed(
            f"The archive holds a {names.get(manifest.engine, manifest.engine)} database, this "
            f"installation uses {names[store.name]}. Set PORTAL_DATABASE_URL to a database of the "
            "archive's kind."
        )


def _prepare(staged: Staged, manifest: Manifest, wish: Wish) -> int:
    """Fill the tables, bring them to this version, and hold what waits. Returns how much waits."""
    app = create_app(staged.config)
    if not database.knows(app, manifest.schema):
        raise Failed(
            f"The archive was made by a newer version (Gatepost {manifest.version}, schema "
            f"{manifest.schema}). Install that version or a newer one, then restore."
        )
    try:
        database.migrate(app, manifest.schema)
        with app.app_context():
            staged.load()
        database.migrate(app)
        return _settle(app, manifest, wish)
    except SQLAlchemyError as problem:
        cause = str(getattr(problem, "orig", None) or problem).strip().splitlines()[0]
        raise Failed(f"The archive could not be restored: {cause}. Nothing was changed.") from None
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def _settle(app: Flask, manifest: Manifest, wish: Wish) -> int:
    with app.app_context():
        waiting = restoring.count_waiting()
        if not wish.send_waiting:
            restoring.hold_waiting()
        log.record(
            OPERATOR,
            "installation.restored",
            organization_id=None,
            object_type="installation",
            changes={"backup_of": manifest.made_at, "waiting_mail": waiting},
        )
        db.session.commit()
    return waiting


def _change_over(config: Config, manifest: Manifest, folder: Path, staged: Staged) -> Iterator[str]:
    with key_files.in_place(config, manifest, folder) as written:
        lines = [*staged.put_in_place()]
    yield from (f"Restored {path}." for path in written)
    yield from lines
