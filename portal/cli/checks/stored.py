"""The database: reachable, at the schema of this version, whole, and its keys at hand."""

import dataclasses
from collections.abc import Iterator

from flask import Flask
from sqlalchemy import inspect, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal import keys
from portal.cli import database
from portal.cli.archive import postgresql
from portal.cli.checks import machine
from portal.cli.checks.findings import Finding, fault, fine, warning
from portal.cli.failures import Failed, one_line
from portal.clock import utcnow
from portal.config import Config, ConfigError
from portal.delivery.lease_clock import lease_now
from portal.extensions import db
from portal.keys import EncryptionKey

_CONNECT_SECONDS = "5"
_CLOCKS_APART = 5.0
# How the first mistakes of a damaged file are shown.
_MOST_MISTAKES = 3


def patient(config: Config) -> Config:
    """The same configuration, but a PostgreSQL that does not answer is given up soon."""
    url = make_url(config.database_url)
    if config.is_sqlite or "connect_timeout" in url.query:
        return config
    bounded = url.update_query_dict({"connect_timeout": _CONNECT_SECONDS})
    return dataclasses.replace(config, database_url=bounded.render_as_string(hide_password=False))


def check(app: Flask, findings: list[Finding]) -> bool:
    """Add the findings on the database. True: its tables can be asked for more."""
    config: Config = app.extensions["config"]
    file = machine.database_file(config)
    if file is not None and not file.exists():
        # To connect would make the file.
        findings.append(_no_file(str(file)))
        return False
    try:
        state = database.revisions(app)
    except Failed as problem:
        findings.append(_out_of_reach(problem))
        return False
    findings.append(fine("database", f"The {_engine(config)} database answers."))
    findings.append(_schema(app, state))
    with app.app_context():
        findings.extend(_whole(config))
        findings.extend(_keys(config))
        findings.extend(_clock())
        findings.extend(_restores(config))
        db.session.remove()
    return state.found == state.wanted


def _no_file(name: str) -> Finding:
    return fault(
        "database",
        f"{name} is not there.",
        "Set PORTAL_DATA_DIR or PORTAL_DATABASE_URL to those of this installation, "
        "or restore a backup: portal restore FILE; for a new one run: portal db upgrade",
    )


def _out_of_reach(problem: Failed) -> Finding:
    # The line ends with its own cure.
    message, _, cure = one_line(problem.message).rpartition(". ")
    return fault("database", f"{message}.", cure)


def _schema(app: Flask, state: database.Revisions) -> Finding:
    if state.found is None:
        return fault("schema", "The database is empty.", "Run: portal db upgrade")
    if not database.knows(app, state.found):
        return fault(
            "schema",
            f"The database is at {state.found}, which this version does not know.",
            "Install the version of Gatepost that last ran on this database, or a newer one.",
        )
    if state.found != state.wanted:
        return fault(
            "schema",
            f"The database is at {state.found}, this version needs {state.wanted}.",
            "Run: portal backup FILE, then: portal db upgrade",
        )
    return fine("schema", f"The tables are those of this version ({state.found}).")


def _whole(config: Config) -> Iterator[Finding]:
    if not config.is_sqlite:
        return
    cure = "Stop the portal and restore the newest backup: portal restore FILE --replace"
    try:
        said = db.session.scalars(text(f"PRAGMA quick_check({_MOST_MISTAKES})")).all()
    except SQLAlchemyError as problem:
        db.session.rollback()
        said = [str(getattr(problem, "orig", problem))]
    if said == ["ok"]:
        yield fine("database file", "The file is whole.")
    else:
        shown = one_line("; ".join(map(str, said)))[:300]
        yield fault("database file", f"The file is damaged: {shown}.", cure)


def _clock() -> Iterator[Finding]:
    """Machines that share a database agree on what is due as far as their clocks do."""
    ahead = (utcnow() - lease_now()).total_seconds()
    if abs(ahead) > _CLOCKS_APART:
        way = "ahead of" if ahead > 0 else "behind"
        yield warning(
            "clock",
            f"The clock of this machine is {abs(ahead):.0f} s {way} the database's: mail leaves "
            "early or late by that.",
            "Keep both in time: timedatectl set-ntp true",
        )


def _keys(config: Config) -> Iterator[Finding]:
    known = _known_keys()
    try:
        at_hand = set(keys.open_vault(config).key_ids)
        signs = keys.load_secret_key(config) is not None
    except ConfigError as problem:
        if known or "missing" not in str(problem):
            yield fault("keys", one_line(str(problem)), _KEY_CURE)
        return
    if missing := sorted(known - at_hand):
        yield fault("keys", f"The database was used with {', '.join(missing)}; missing.", _KEY_CURE)
    elif known and not signs:
        yield fault("keys", "The key that signs sessions is missing.", _KEY_CURE)
    else:
        yield fine("keys", f"Every key that the database was used with is at hand ({len(known)}).")


def _restores(config: Config) -> Iterator[Finding]:
    if config.is_sqlite:
        return
    for schema in db.session.scalars(text(postgresql.LEFT_BEHIND)):
        yield warning(
            "restore",
            f"The schema {schema} is of a restore that was killed, unless one runs now; it holds a "
            "copy of a backup.",
            "The next portal restore removes it; to remove it without one, as the database's user: "
            f"DROP SCHEMA {schema} CASCADE",
        )


_KEY_CURE = (
    "Restore the key files of the data folder from where you keep them, or set "
    "PORTAL_ENCRYPTION_KEYS and PORTAL_SECRET_KEY; without them stored passwords stay closed."
)


def _known_keys() -> set[str]:
    try:
        if not inspect(db.engine).has_table(EncryptionKey.__tablename__):
            return set()
        return set(db.session.scalars(select(EncryptionKey.id)))
    except SQLAlchemyError:
        db.session.rollback()
        return set()


def _engine(config: Config) -> str:
    return "SQLite" if config.is_sqlite else "PostgreSQL"
