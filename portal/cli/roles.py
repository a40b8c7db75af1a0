"""The roles that need no words of their own: delivery, and the mail catcher of the demo."""

from pathlib import Path

import click

from portal.cli import application
from portal.delivery import worker as delivery_worker
from portal.demo import catcher as mail_catcher


@click.command()
def worker() -> None:
    """Deliver mail."""
    delivery_worker.run(application.working())


@click.command(hidden=True)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--server", required=True, help="What this server is called in its records.")
@click.option("--fd", type=int, required=True, help="A bound socket that was handed down.")
@click.option("--login-file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def catcher(folder: Path, server: str, fd: int, login_file: Path | None) -> None:
    """Take mail over SMTP and keep it for reading: for `portal demo`."""
    mail_catcher.run(folder, server=server, fd=fd, login_file=login_file)
