"""An installation on a fresh database with durable commits, for runs outside of pytest."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from portal import keys
from portal.app import create_app
from portal.extensions import db
from tests.conftest import config_for, migrate
from tests.databases import EngineName, SqliteTemplate, Template
from tests.faults.crashing_postgres import CrashingPostgres


@dataclass(frozen=True)
class Installed:
    """`folder` is the run's own, and goes with it. `restart` takes the database away and brings it
    back; SQLite has nothing to restart."""

    app: Flask
    folder: Path
    restart: Callable[[], None] | None


@dataclass(frozen=True)
class Reached:
    """An installation whose PostgreSQL other machines reach by `remote_url`."""

    app: Flask
    folder: Path
    remote_url: str


@contextmanager
def fresh(engine: EngineName) -> Iterator[Installed]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template: Template
        restart = None
        if engine is EngineName.SQLITE:
            template = SqliteTemplate(folder, migrate)
        else:
            template = server = CrashingPostgres(migrate)
            restart = server.crash
        try:
            app = create_app(config_for(template.copy(folder), folder / "data"))
            keys.ensure(app)
            yield Installed(app, folder, restart)
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
        finally:
            template.close()


@contextmanager
def fresh_on(
    address: str, subnet: str, being_there: Callable[[], AbstractContextManager[None]]
) -> Iterator[Reached]:
    """On a PostgreSQL that answers the subnet at that address of another network; this process
    reaches it by its socket."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = CrashingPostgres(migrate)
        try:
            with being_there():
                server.listen_on(address, subnet)
            database = server.copy(folder)
            app = create_app(config_for(database, folder / "data"))
            keys.ensure(app)
            name_of_it = database.url.partition("?")[0].rpartition("/")[2]
            yield Reached(app, folder, f"postgresql://postgres@{address}/{name_of_it}")
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
        finally:
            server.close()
