"""The application as a command needs it: tables in place, keys at hand."""

from collections.abc import Callable

import click
from flask import Flask

from portal import keys
from portal.cli import database, factory
from portal.config import Config

Tell = Callable[[str], None]


def prepared(tell: Tell = click.echo) -> Flask:
    """An application whose tables are those of this version, made where the database is empty.

    An older database is left alone, because a backup belongs before an upgrade. Raises
    ConfigError and Failed.
    """
    app = factory.make()
    if database.revisions(app).found is None:
        database.migrate(app)
    return _opened(app, tell)


def upgraded(config: Config, tell: Tell = click.echo) -> Flask:
    """An application whose tables were brought to this version. Raises ConfigError and Failed."""
    app = factory.make(config)
    database.migrate(app)
    return _opened(app, tell)


def existing(tell: Tell = click.echo) -> Flask:
    """An application on tables that are there already. Raises ConfigError and Failed."""
    return _opened(factory.make(), tell)


def _opened(app: Flask, tell: Tell) -> Flask:
    database.require_current(app)
    for path in keys.ensure(app):
        tell(f"Made {path}. Keep a copy with your backups, apart from the database.")
    return app
