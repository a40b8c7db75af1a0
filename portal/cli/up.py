"""`portal up`: the whole portal with one command."""

from collections.abc import Iterator

import click

from portal import logs
from portal.cli import listening, running
from portal.cli.running import Running
from portal.config import Config
from portal.extensions import db
from portal.identity import links


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: 8000]")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many processes deliver mail.",
)
def up(host: str | None, port: int | None, workers: int) -> None:
    """Migrate, then run web, delivery and jobs until Ctrl-C."""
    config = Config.from_environment()
    logs.take_over(config.log_format)
    wanted = listening.chosen(config.base_url, host=host, port=port)
    listener = listening.bind(wanted, command="portal up")
    base_url = listening.reached_at(config.base_url, listening.bound_address(listener))
    portal = running.prepare(listener, {"base_url": base_url})
    portal.run(_welcome(portal), workers=workers)
    logs.tell("Gatepost has stopped.")


def _welcome(portal: Running) -> Iterator[None]:
    yield from portal.until_ready()
    logs.tell(f"Gatepost runs at {portal.base_url}. Stop it with Ctrl-C.")
    if portal.base_url != portal.address.url:
        logs.tell(f"It listens on {portal.address.url}.")
    with portal.app.app_context():
        token = None if links.is_set_up() else links.create_setup_link()
        db.session.commit()
        db.session.remove()
    if token is not None:
        logs.tell(f"Set it up here, once, within 24 hours: {portal.base_url}/set-up/{token}")
