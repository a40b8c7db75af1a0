"""The clock by which workers agree until when each may send what it holds: the database's, because
the machines that share a PostgreSQL have clocks of their own, which may be minutes apart.

It is read now and then, and counted on from there by a clock that nobody can set: so a jump of this
machine's clock moves no lease either. SQLite lies on one machine, whose clock all share.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import current_app
from sqlalchemy import func, select

from portal.clock import since_boot, utcnow
from portal.extensions import db

_KEY = "lease_clock"
# So that the two do not drift apart, and that a clock put right over there counts here.
_READ_EVERY = 10.0


@dataclass(frozen=True)
class _Reading:
    """What the database's clock said, and what `since_boot` said then."""

    at: datetime
    since_boot: float


def lease_now() -> datetime:
    """The database's time, aware, in UTC; right to the time that an answer of the database takes.

    Now and then it is read in the session's transaction. Expects an application context.
    """
    if db.engine.dialect.name == "sqlite":
        return utcnow()
    reading: _Reading | None = current_app.extensions.get(_KEY)
    if reading is None or since_boot() - reading.since_boot > _READ_EVERY:
        reading = current_app.extensions[_KEY] = _read()
    return reading.at + timedelta(seconds=since_boot() - reading.since_boot)


def _read() -> _Reading:
    before = since_boot()
    # By the connection: nothing that the session was given is written because of a look at a clock.
    at = db.session.connection().execute(select(func.clock_timestamp())).scalar_one()
    return _Reading(at.astimezone(UTC), (before + since_boot()) / 2)
