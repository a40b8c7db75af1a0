"""`portal db`: bring the database's tables to this version, and say where they stand."""

from dataclasses import dataclass

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

# What SQLite says of a file that is none of its own, or not any more.
_DAMAGED = ("malformed", "not a database")


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


@dataclass(frozen=True)
class Revisions:
    """The revision that the database has (None: no tables) and the one that this version wants.

    `is_newer`: a later version has upgraded it. It left what this one uses, as versions that follow
    each other do, so this one goes on.
    """

    found: str | None
    wanted: str | None
    is_newer: bool = False

    @property
    def is_older(self) -> bool:
        """There are tables, and `portal db upgrade` has to be run."""
        return self.found not in (None, self.wanted) and not self.is_newer

    def __str__(self) -> str:
        """What is found, and that it is not what this version was made for."""
        if self.is_newer:
            return f"The database is at {self.found}, newer than this version's {self.wanted}"
        return f"The database is at {self.found}, this version needs {self.wanted}"


def migrate(app: Flask, revision: str = "head") -> None:
    """Bring the tables to a revision, by default this version's.

    Raises Failed when the database cannot be reached, or a newer version has upgraded it.
    """
    if (state := revisions(app)).is_newer:
        raise Failed(f"{state}. Only the newer version can upgrade it.")
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
            scripts = _scripts()
            wanted = scripts.get_current_head()
            known = {script.revision for script in scripts.walk_revisions()}
    except DBAPIError as problem:
        raise unreachable(app, problem) from None
    # Revisions are numbered, so those that come later sort behind.
    is_newer = found is not None and found not in known and found > (wanted or "")
    return Revisions(found, wanted, is_newer)


def knows(app: Flask, revision: str) -> bool:
    """Whether this version has that revision; one that it does not have is of a newer version."""
    with app.app_context():
        return revision in {script.revision for script in _scripts().walk_revisions()}


def require_current(app: Flask) -> None:
    """Raises ConfigError with the cure where the tables are not those of this version."""
    state = revisions(app)
    if state.found is None:
        raise ConfigError("The database is empty. Run: portal db upgrade")
    if state.is_newer:
        raise ConfigError(f"{state}. This version goes on; install the newer one.")
    if state.is_older:
        raise ConfigError(f"{state}. Make a backup, then run: portal db upgrade")


def unreachable(app: Flask, problem: DBAPIError) -> Failed:
    """One line for a database that does not answer; never the URL, which may hold a password."""
    config: Config = app.extensions["config"]
    with app.app_context():
        shown = db.engine.url.render_as_string(hide_password=True)
    cause = str(problem.orig).strip().splitlines()[0] if problem.orig else "no answer"
    if not config.is_sqlite:
        cure = "Check PORTAL_DATABASE_URL and that the server runs."
    elif any(word in cause for word in _DAMAGED):
        cure = "Stop the portal and restore the newest backup: portal restore FILE --replace"
    else:
        cure = "Check that the folder exists and may be written to."
    return Failed(f"The database {shown} cannot be used: {cause}. {cure}")


def _scripts() -> ScriptDirectory:
    alembic: AlembicConfig = current_app.extensions["migrate"].migrate.get_config()
    return ScriptDirectory.from_config(alembic)
