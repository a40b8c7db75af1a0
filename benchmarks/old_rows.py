"""Records of old mail as a portal has them after a year: accepted, each with its attempt."""

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from flask import Flask
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import Table, func, insert, make_url, select, text

from portal.clock import utcnow
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, Level, Payload, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY

_ORGANIZATIONS = 100
_SPREAD = timedelta(days=365)
_RECIPIENTS_OF_EACH = 200
_TO_A_NOTIFICATION = 4
_PORTION = 20_000
_KINDS = ("alert.raised", "alert.raised", "alert.raised", "approval.requested", "approval.approved")
_PHASES = [{"phase": phase, "ok": True, "ms": 1} for phase in ("mail", "rcpt", "data", "dot")]
_Row = dict[str, Any]


@contextmanager
def database_beside(url: str) -> Iterator[str]:
    """The URL of a new database on the same PostgreSQL; it is dropped after the block."""
    given = make_url(url)
    name = f"{given.database}_old_rows"
    server = given.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield given.set(database=name).render_as_string(hide_password=False)
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)


def fill(app: Flask, mails: int) -> float:
    """Store so many of a hundred organizations, the oldest first, as they would have come; commits.
    Returns the seconds that it took."""
    start = time.monotonic()
    with app.app_context():
        organizations = [_organization(number) for number in range(_ORGANIZATIONS)]
        db.session.add_all(organizations)
        db.session.flush()
        ids = [organization.id for organization in organizations]
        chance = random.Random(1)  # noqa: S311 - spreads rows, guards nothing
        for first in range(0, mails, _PORTION):
            _portion(ids, first, min(_PORTION, mails - first), mails, chance)
            db.session.commit()
        if db.engine.dialect.name == "postgresql":
            # As its own housekeeping does it in the course of a year.
            db.session.execute(text("ANALYZE"))
            db.session.commit()
        assert db.session.scalar(select(func.count()).select_from(Attempt)) == mails
        db.session.remove()
        db.engine.dispose()
    return time.monotonic() - start


def _organization(number: int) -> Organization:
    return Organization(slug=f"old{number}", name=f"Old {number}")


def _portion(
    organizations: list[uuid.UUID], first: int, number: int, of: int, chance: random.Random
) -> None:
    payloads: list[_Row] = []
    deliveries: list[_Row] = []
    attempts: list[_Row] = []
    now = utcnow()
    for place in range(first, first + number):
        at = now - _SPREAD * (1 - place / of)
        if not payloads or place % _TO_A_NOTIFICATION == 0:
            payloads.append(_payload(chance.choice(organizations), at, chance))
        deliveries.append(_delivery(payloads[-1], at, chance))
        attempts.append(_attempt(deliveries[-1], at, chance))
    _store(Payload.__table__, payloads)
    _store(Delivery.__table__, deliveries)
    _store(Attempt.__table__, attempts)


def _payload(organization_id: uuid.UUID, at: datetime, chance: random.Random) -> _Row:
    return {
        "id": _id(at, chance),
        "organization_id": organization_id,
        "kind": chance.choice(_KINDS),
        "data": {"title": f"Disk {chance.randrange(10_000)} full", "text": "Nothing is written."},
        "thread": None,
        "created_at": at,
    }


def _delivery(payload: _Row, at: datetime, chance: random.Random) -> _Row:
    organization_id = payload["organization_id"]
    identity = _id(at, chance)
    sent = at + timedelta(seconds=chance.random())
    return {
        "id": identity,
        "organization_id": organization_id,
        "payload_id": payload["id"],
        "kind": payload["kind"],
        "priority": int(BY_KEY[payload["kind"]].priority),
        "recipient": f"person{chance.randrange(_RECIPIENTS_OF_EACH)}@{organization_id.hex}.test",
        "language": "en",
        "subject": f"Critical: {payload['data']['title']}",
        "message_id": f"<{identity.hex}@old.test>",
        "state": State.ACCEPTED,
        "sender": "main",
        "level": Level.ORGANIZATION,
        "server": "smtp.old.test",
        "ip": "192.0.2.10",
        "attempt_count": 1,
        "code": 250,
        "enhanced_code": "2.0.0",
        "reply": "2.0.0 Ok: queued as 4F1",
        "created_at": at,
        "expires_at": at + timedelta(days=1),
        "accepted_at": sent,
        "fence": 1,
    }


def _attempt(delivery: _Row, at: datetime, chance: random.Random) -> _Row:
    copied = ("organization_id", "sender", "server", "ip", "code", "enhanced_code", "reply")
    return {
        "id": _id(at, chance),
        "delivery_id": delivery["id"],
        "number": 1,
        "started_at": at,
        "ms": 12,
        "worker": "old",
        "phases": _PHASES,
        "outcome": AttemptOutcome.ACCEPTED,
        **{name: delivery[name] for name in copied},
    }


def _id(at: datetime, chance: random.Random) -> uuid.UUID:
    """Ordered by that time (RFC 9562, version 7), as `clock.new_id` makes them for now."""
    milliseconds = int(at.timestamp() * 1000)
    value = (milliseconds << 80) | (0x7 << 76) | (chance.getrandbits(12) << 64)
    return uuid.UUID(int=value | (0b10 << 62) | chance.getrandbits(62))


def _store(table: Table, rows: list[_Row]) -> None:
    """Columns that the rows do not name get the defaults of their models."""
    defaults = {
        column.name: column.default.arg
        for column in table.columns
        if column.default is not None and column.default.is_scalar
    }
    if db.engine.dialect.name == "sqlite":
        db.session.execute(insert(table), [defaults | row for row in rows])
        return
    connection = db.session.connection().connection.driver_connection
    names = sql.SQL(", ").join(map(sql.Identifier, defaults | rows[0]))
    copying = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        for row in rows:
            copy.write_row([_for_copy(value) for value in (defaults | row).values()])


def _for_copy(value: object) -> object:
    return Jsonb(value) if isinstance(value, (dict, list)) else value
