"""`portal send-restored`: let go the mail that a restore holds."""

import click

from portal.audit.log import OPERATOR
from portal.cli import application
from portal.cli.people import find_organization
from portal.delivery import restoring
from portal.extensions import db


@click.command("send-restored")
@click.option("--organization", "slug", metavar="SLUG", help="Only this organization's mail.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def send_restored(slug: str | None, yes: bool) -> None:
    """Send the mail that is held since a backup was restored; some may arrive a second time."""
    app = application.existing()
    with app.app_context():
        organization = find_organization(slug) if slug is not None else None
        count = restoring.count_held(organization)
        # No transaction stays open while somebody thinks.
        db.session.rollback()
        if not count:
            click.echo("No mail is held since a restore.")
            return
        if not yes:
            click.confirm(
                f"{count} mails waited when the backup was made. What went out since goes out a "
                "second time. Send them?",
                abort=True,
            )
        sent = restoring.send_held(organization, actor=OPERATOR)
        db.session.commit()
    click.echo(f"Queued: {sent}. They leave as soon as a worker runs, marked as possible copies.")
