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

    CA certificates and logos are written beside FILE.
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
    contents = {file: exported.text.encode()}
    contents |= {file.parent / name: content for name, content in exported.files.items()}
    for path, content in contents.items():
        try:
            path.write_bytes(content)
        except OSError as problem:
            raise Failed(f"{path} cannot be written: {problem.strerror}.") from None
