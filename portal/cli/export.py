"""`portal export`: settings as code from what is set."""

from pathlib import Path

import click

from portal.cli import application
from portal.cli.failures import Failed
from portal.cli.settings_file import exporting
from portal.cli.settings_file.exporting import Exported
from portal.extensions import db


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def export(file: Path | None) -> None:
    """Write all settings without secrets, as `portal apply` takes them, to FILE or the console.

    CA certificates and logos are written beside FILE, into a folder for the host and one for each
    organization.
    """
    app = application.existing(lambda line: click.echo(line, err=True))
    with app.app_context():
        try:
            exported = exporting.export(beside=file is not None)
        finally:
            db.session.rollback()
            db.session.remove()
    if file is None:
        click.echo(exported.text, nl=False)
        return
    _write(file, exported)
    click.echo(f"Written to {file}. It holds no secrets.")


def _write(file: Path, exported: Exported) -> None:
    _write_file(file, exported.text.encode())
    for folder in sorted(exported.folders):
        _make_folder(file.parent, folder)
    for name, content in exported.files.items():
        _write_file(file.parent / name, content)


def _make_folder(beside: Path, name: str) -> None:
    """Secrets will lie there: for its owner alone, as are the folders on the way to it."""
    path = beside
    for part in name.split("/"):
        path /= part
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as problem:
            raise Failed(f"The folder {path} cannot be made: {problem.strerror}.") from None


def _write_file(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as problem:
        raise Failed(f"{path} cannot be written: {problem.strerror}.") from None
