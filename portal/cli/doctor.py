"""`portal doctor`: look at a whole installation and say what to do; changes nothing."""

import json
from importlib.metadata import version

import click
from flask_babel import force_locale
from sqlalchemy.exc import SQLAlchemyError

from portal.app import create_app
from portal.cli.checks import machine, mail, servers, stored
from portal.cli.checks.findings import Finding, Level, fault
from portal.cli.failures import one_line
from portal.config import Config, ConfigError
from portal.database import reading_only
from portal.extensions import db

_MARKS = {Level.OK: "ok", Level.WARNING: "WARNING", Level.FAULT: "FAULT"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Look at the whole installation and say what to do. Exit code 1: there is a fault."""
    findings = examine()
    sound = all(finding.level is not Level.FAULT for finding in findings)
    if as_json:
        click.echo(json.dumps(_report(findings, sound), indent=2))
    else:
        click.echo("\n".join(_lines(findings)))
    if not sound:
        raise click.exceptions.Exit(1)


def examine() -> list[Finding]:
    """All findings, in the order of their causes: what fails early leaves out what needs it."""
    try:
        config = stored.patient(Config.from_environment())
    except ConfigError as problem:
        cure = "Correct this setting, then run: portal doctor"
        return [fault("configuration", one_line(str(problem)), cure)]
    findings = list(machine.check(config))
    if machine.is_usable(config):
        _examine_database(config, findings)
    return findings


def _examine_database(config: Config, findings: list[Finding]) -> None:
    try:
        app = create_app(config)
    except ConfigError as problem:
        findings.append(fault("keys", one_line(str(problem)), "Restore the file or its rights."))
        return
    # Nothing is written here, and a reader waits for no writer.
    reading_only(True)
    try:
        if stored.check(app, findings):
            with app.app_context(), force_locale("en"):
                _examine_mail(findings)
    finally:
        reading_only(False)
        with app.app_context():
            db.engine.dispose()


def _examine_mail(findings: list[Finding]) -> None:
    try:
        findings.extend(mail.check())
        findings.extend(servers.check())
    except SQLAlchemyError as problem:
        cause = one_line(str(getattr(problem, "orig", None) or problem))
        message = f"The tables could not be read: {cause}"
        findings.append(fault("mail", message, "Mend what is said above, then run: portal doctor"))
    finally:
        db.session.remove()


def _report(findings: list[Finding], sound: bool) -> dict[str, object]:
    return {
        "ok": sound,
        "version": version("gatepost"),
        "findings": [finding.as_json() for finding in findings],
    }


def _lines(findings: list[Finding]) -> list[str]:
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.level]:8} {finding.check}: {finding.message}")
        if finding.cure:
            lines.append(f"{'':8} {finding.cure}")
    faults = sum(finding.level is Level.FAULT for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    return [*lines, f"Faults: {faults}. Warnings: {warnings}."]
