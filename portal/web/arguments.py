"""What stands behind the question mark of a list's address. A value that makes no sense counts
as none: the list is shown as it is without it."""

import uuid
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import request

from portal.clock import utcnow
from portal.web import context


def text(name: str, *, longest: int = 200) -> str:
    """The text, on one line, without control characters."""
    raw = request.args.get(name, "")[:longest]
    return "".join(c for c in raw if c.isprintable()).strip()


def row_id(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.args.get(name, ""))
    except ValueError:
        return None


def day(name: str) -> date | None:
    """A day as a date input sends it: 2026-11-20."""
    try:
        return date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None


def start_of(wanted: date | None, *, days_later: int = 0) -> datetime | None:
    """Midnight of the day in the reader's time zone, as a time in UTC."""
    if wanted is None:
        return None
    try:
        local = datetime.combine(
            wanted + timedelta(days=days_later), time(), ZoneInfo(context.timezone())
        )
        return local.astimezone(UTC)
    except OverflowError:
        return None


def today() -> date:
    """The day that it is now in the reader's time zone."""
    return utcnow().astimezone(ZoneInfo(context.timezone())).date()
