"""An installation on a fresh database with durable commits, for runs outside of pytest."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
