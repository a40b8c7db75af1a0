"""`portal sender`: prove that a sender works, with the report of the page."""

import json

import click
from flask_babel import force_locale

from portal.audit.log import OPERATOR
from portal.cli import application
from portal.cli.failures import Failed, one_line
from portal.cli.people import find_organization
from portal.delivery import sender_tests
from portal.delivery.report import Report, Step
from portal.delivery.sender_tests import TooManyTests
from portal.identity.models import Organization
from portal.settings import senders
from portal.settings.models import Sender
from portal.settings.scope import Scope
from portal.settings.senders import Keep


@click.group()
def sender() -> None:
    """Senders."""


@sender.command("test")
@click.argument("name")
@click.option("--organization", "slug", metavar="SLUG", help="Whose sender; the host's otherwise.")
@click.option("--to", required=True, metavar="ADDRESS", help="Who gets the test mail.")
@click.option("--check-only", is_flag=True, help="Go as far as the recipient; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def test_command(name: str, slug: str | None, to: str, check_only: bool, as_json: bool) -> None:
    """Send a test mail by sender NAME, step by step. Exit code 1: it did not pass."""
    # Only the report goes to standard output, which a program may read.
    app = application.existing(_on_stderr)
    with app.app_context(), force_locale("en"):
        organization = find_organization(slug) if slug is not None else None
        report = _run(organization, _find(organization, name), to=to, check_only=check_only)
        text = json.dumps(report.as_json(), indent=2) if as_json else _told(report)
    click.echo(text)
    if not report.passed:
        raise click.exceptions.Exit(1)


def _find(organization: Organization | None, name: str) -> Sender:
    scope = Scope.of(organization)
    found = senders.find(scope, name)
    if found is None:
        known = ", ".join(known.name for known in senders.all_of(scope)) or "none yet"
        where = organization.slug if organization is not None else "the host"
        raise Failed(f"There is no sender {name} in {where}. There are: {known}.")
    return found


def _run(organization: Organization | None, tested: Sender, *, to: str, check_only: bool) -> Report:
    try:
        return sender_tests.run(
            organization,
            tested,
            {},
            name=tested.name,
            secret=Keep(),
            to=to,
            check_only=check_only,
            actor=OPERATOR,
        )
    except TooManyTests as limit:
        raise Failed(str(limit)) from None


def _told(report: Report) -> str:
    lines = [_line(step) for step in report.steps]
    if report.failure is not None:
        lines += ["", one_line(str(report.failure.say)), one_line(str(report.failure.cure))]
        if report.failure.reply:
            lines.append(f"The server said: {one_line(report.failure.reply)}")
    elif report.sent:
        lines += ["", "The server accepted the test mail."]
    else:
        lines += ["", "The connection works. No mail was sent."]
    return "\n".join(lines)


def _line(step: Step) -> str:
    mark = {True: "ok", False: "FAILED", None: "-"}[step.ok]
    took = f"{step.ms} ms" if step.ms is not None else ""
    return f"{step.step:10} {mark:7} {took:>8}  {one_line(step.detail)}".rstrip()


def _on_stderr(line: str) -> None:
    click.echo(line, err=True)
