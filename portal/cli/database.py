"""`portal db`: bring the database's tables to this version, and say where they stand."""

import click
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, current_app
from flask_migrate import upgrade
from sqlalchemy.exc import DBAPIError

from portal.cli import factory
from portal.cli.failures import Failed
from portal.config import Config, ConfigError
from portal.extensions import db


@click.group("db")
def database() -> None:
    """The tables of the database."""


@database.command("upgrade")
def upgrade_command() -> None:
    """Bring the tables to this version."""
    app = factory.make()
    before = revisions(app)
    migrate(app)
    if before.found == before.wanted:
        click.echo("The database is up to date.")
    else:
        click.echo(f"The database was brought to {before.wanted}.")


@database.command("check")
def check_command() -> None:
    """Say whether the tables are those of this version."""
    app = factory.make()
    require_current(app)
    click.echo("The database is up to date.")


class Revisions:
    """The revision that the database has (None: no tables) and the one that this version wants."""

    def __init__(self, found: str | None, wanted: str | None) -> None:
        self.found = found
        self.wanted = wanted


def migrate(app: Flask, revision: str = "head") -> None:
    """Bring the tables to a revision, by default this version's.

    Raises Failed when the database cannot be reached.
    """
    try:
        with app.app_context():
            upgrade(revision=revision)
            db.session.remove()
    except DBAPIError as problem:
        raise unreachable(app, problem) from None


def revisions(app: Flask) -> Revisions:
    """Raises Failed when the database cannot be reached."""
    try:
        with app.app_context(), db.engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
            wanted = _scripts().get_current_head()
    except DBAPIError as problem:
        raise unreachable(app, problem) from None
    return Revisions(found, wanted)


def knows(app: Flask, revision: str) -> bool:
    """Whether this version has that revision; one that it does not have is of a newer version."""
    with app.app_context():
        return revision in {script.revision for script in _scripts().walk_revisions()}


def require_current(app: Flask) -> None:
    """Raises ConfigError with the cure where the tables are not those of this version."""
    state = revisions(app)
    if state.found is None:
        raise ConfigError("The database is empty. Run: portal db upgrade")
    if state.found != state.wanted:
        raise ConfigError(
            f"The database is at {state.found}, this version needs {state.wanted}. "
            "Make a backup, then run: portal db upgrade"
        )


def unreachable(app: Flask, problem: DBAPIError) -> Failed:
    """One line for a database that does not answer; never the URL, which may hold a password."""
    config: Config = app.extensions["config"]
    with app.app_context():
        shown = db.engine.url.render_as_string(hide_password=True)
    cause = str(problem.orig).strip().splitlines()[0] if problem.orig else "no answer"
    cure = (
        "Check that the folder exists and may be written to."
        if config.is_sqlite
        else "Check PORTAL_DATABASE_URL and that the server runs."
    )
    return Failed(f"The database {shown} cannot be used: {cause}. {cure}")


def _scripts() -> ScriptDirectory:
    alembic: AlembicConfig = current_app.extensions["migrate"].migrate.get_config()
    return ScriptDirectory.from_config(alembic)
