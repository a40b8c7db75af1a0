"""An installation on a fresh database with durable commits, for runs outside of pytest."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from portal import keys
from portal.app import create_app
from portal.extensions import db
from tests.conftest import config_for, migrate
from tests.databases import EngineName, PostgresTemplate, SqliteTemplate, Template


@dataclass(frozen=True)
class Installed:
    """`folder` is the run's own, and goes with it."""

    app: Flask
    folder: Path


@contextmanager
def fresh(engine: EngineName) -> Iterator[Installed]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template: Template
        if engine is EngineName.SQLITE:
            template = SqliteTemplate(folder, migrate)
        else:
            template = PostgresTemplate(migrate, settings=())
        try:
            app = create_app(config_for(template.copy(folder), folder / "data"))
            keys.ensure(app)
            yield Installed(app, folder)
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
        finally:
            template.close()
