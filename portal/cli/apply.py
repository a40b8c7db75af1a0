"""`portal apply`: settings as code."""

import shlex
from pathlib import Path

import click
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError

from portal.cli import application
from portal.cli.failures import Failed, one_line
from portal.cli.settings_file import applying, document, rights, shape
from portal.cli.settings_file.applying import Applied
from portal.cli.settings_file.document import Section, Wrong
from portal.cli.settings_file.secrets import TokenFiles
from portal.extensions import db


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Say what would change, and change nothing.")
def apply(file: Path, check: bool) -> None:
    """Create and change what FILE says; deletes nothing."""
    try:
        section = document.read(file, shape.FILE)
        _warn_of_open_secrets(section, file.parent)
        app = application.existing() if check else application.prepared()
        applied = preview(app, section, file) if check else carry_out(app, section, file)
    except Wrong as wrong:
        raise told(file, wrong) from None
    for line in applied.lines or ["nothing to change"]:
        click.echo(line)
    if check and applied.lines:
        click.echo("Nothing was changed: this was a check.")


def carry_out(app: Flask, section: Section, file: Path) -> Applied:
    """Apply a file that was read, in one transaction. Raises Wrong and Failed."""
    with app.app_context():
        try:
            applied = applying.apply(section, folder=file.parent)
            _commit(applied)
        except (IntegrityError, OperationalError) as problem:
            raise _refused(problem) from None
        finally:
            db.session.remove()
    return applied


def preview(app: Flask, section: Section, file: Path) -> Applied:
    """What applying would change. Raises Wrong and Failed."""
    with app.app_context():
        try:
            return applying.apply(section, folder=file.parent)
        except (IntegrityError, OperationalError) as problem:
            raise _refused(problem) from None
        finally:
            db.session.rollback()
            db.session.remove()


def told(file: Path, wrong: Wrong) -> Failed:
    """The mistakes, a line each, as editors understand them."""
    lines = (f"{file}:{problem.line}: {one_line(problem.message)}" for problem in wrong.problems)
    return Failed("\n".join(lines))


def _warn_of_open_secrets(section: Section, folder: Path) -> None:
    for path in rights.readable_by_others(section, folder):
        name = shlex.quote(str(path))
        click.echo(
            f"Warning: others on this machine can read {name}. Run: chmod 600 {name}", err=True
        )


def _commit(applied: Applied) -> None:
    """A token must be neither lost nor left without its row."""
    files = TokenFiles(applied.tokens)
    try:
        files.draft()
        db.session.commit()
        files.put_in_place()
    except OSError as problem:
        raise Failed(
            f"{problem.filename} cannot be written: {problem.strerror}. Nothing was changed."
        ) from None
    finally:
        files.discard()


def _refused(problem: IntegrityError | OperationalError) -> Failed:
    return Failed(
        f"The database refused the change ({type(problem.orig).__name__}); nothing was changed. "
        "Run the command again when no other change is under way."
    )
