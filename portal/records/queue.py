"""The delivery engine, as the host sees it: what waits, who works, which senders are paused."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select, union_all
from sqlalchemy.orm import joinedload

from portal.clock import utcnow
from portal.delivery import backlog, counting
from portal.delivery.counting import Count
from portal.delivery.lease_clock import lease_now
from portal.delivery.models import Attempt, Delivery, State, Worker
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import Priority
from portal.settings.models import Sender

# A worker says every 15 s that it lives; without three of these it is not counted on.
_SILENT_AFTER = timedelta(seconds=45)
_GONE_AFTER = timedelta(hours=1)
_MOST_ROWS = 50
_TO_SEND = (State.QUEUED, State.DEFERRED)


@dataclass(frozen=True)
class Lane:
    """What waits at one priority. `oldest_due`: since when the first of those due now is due."""

    priority: Priority
    due: Count
    later: Count
    held: Count
    sending: Count
    oldest_due: datetime | None


@dataclass(frozen=True)
class WorkerRow:
    """One worker of the last hour."""

    worker: Worker
    is_alive: bool


@dataclass(frozen=True)
class PausedSender:
    """A failing sender, whose it is (None: the host's), and the mail that waits for its probe."""

    sender: Sender
    organization: Organization | None
    held: Count


@dataclass(frozen=True)
class Unanswered:
    """A sender, whose it is (None: the host's), and its mail that was begun a good while ago, the
    first of it at `since`, and for which `server` has not answered."""

    sender: Sender
    organization: Organization | None
    server: str
    count: Count
    since: datetime


def lanes() -> list[Lane]:
    """The queue by priority, the urgent first; one statement."""
    now = utcnow()
    columns = [
        column.scalar_subquery() for priority in Priority for column in _columns(priority, now)
    ]
    found = list(db.session.execute(select(*columns)).one())
    width = len(found) // len(Priority)
    rows = [found[place : place + width] for place in range(0, len(found), width)]
    return [
        Lane(
            priority,
            due=counting.of(row[0]),
            later=counting.of(row[1]),
            held=counting.of(row[2]),
            sending=counting.of(row[3]),
            oldest_due=row[4],
        )
        for priority, row in zip(Priority, rows, strict=True)
    ]


def workers() -> list[WorkerRow]:
    """The workers that lived within the last hour, the newest first."""
    now = lease_now()
    found = db.session.scalars(
        select(Worker)
        .where(Worker.heartbeat_at > now - _GONE_AFTER)
        .order_by(Worker.heartbeat_at.desc(), Worker.id)
        .limit(_MOST_ROWS)
    )
    rows = [
        WorkerRow(row, row.stopped_at is None and row.heartbeat_at > now - _SILENT_AFTER)
        for row in found
    ]
    return sorted(rows, key=lambda row: (not row.is_alive, row.worker.id))


def paused_senders(limit: int = _MOST_ROWS) -> list[PausedSender]:
    """The senders that fail, those of the host first, with the mail that waits for each."""
    found = db.session.execute(
        select(Sender, Organization)
        .outerjoin(Organization, Organization.id == Sender.organization_id)
        .where(Sender.enabled, Sender.consecutive_failures > 0)
        .options(joinedload(Sender.versions))
        .order_by(Sender.organization_id.is_not(None), Sender.last_failure_at.desc())
        .limit(limit)
    ).unique()
    return [PausedSender(sender, owner, backlog.held_by(sender).count) for sender, owner in found]


def unanswered(begun_before: datetime, limit: int = _MOST_ROWS) -> list[Unanswered]:
    """Mail that is being sent since before then, by sender and server: what waits longest first.
    Workers hold a few hundred mails each; of more than 10,000 the others are not looked at."""
    sending = select(Delivery.id, Delivery.sender_id).where(Delivery.state == State.SENDING)
    taken = sending.limit(counting.MOST).subquery()
    since = func.min(Attempt.started_at)
    rows = db.session.execute(
        select(Sender, Organization, Attempt.server, func.count(), since)
        .select_from(taken)
        .join(Attempt, Attempt.delivery_id == taken.c.id)
        .join(Sender, Sender.id == taken.c.sender_id)
        .outerjoin(Organization, Organization.id == Sender.organization_id)
        .where(Attempt.outcome.is_(None), Attempt.started_at < begun_before)
        .group_by(Sender.id, Organization.id, Attempt.server)
        .order_by(since)
        .limit(limit)
    ).all()
    return [
        Unanswered(sender, owner, server or "its server", Count(number), first)
        for sender, owner, server, number, first in rows
    ]


def _columns(priority: Priority, now: datetime) -> list[Select[Any]]:
    mine = Delivery.priority == int(priority)
    waits = and_(mine, Delivery.state.in_(_TO_SEND))
    return [
        counting.counted(backlog.by_owner(waits, Delivery.next_attempt_at <= now)),
        counting.counted(backlog.by_owner(waits, Delivery.next_attempt_at > now)),
        _counted(mine, Delivery.state == State.HELD),
        _counted(mine, Delivery.state == State.SENDING),
        _oldest_due(mine, now),
    ]


def _oldest_due(mine: ColumnElement[bool], now: datetime) -> Select[Any]:
    """The first time of each owner and state stands first in the index."""
    firsts: list[Select[Any]] = []
    for state in _TO_SEND:
        first = select(func.min(Delivery.next_attempt_at)).where(mine, Delivery.state == state)
        of_one = first.where(Delivery.organization_id == Organization.id)
        firsts.append(select(of_one.correlate(Organization).scalar_subquery().label("due")))
        firsts[-1] = firsts[-1].select_from(Organization)
        firsts.append(first.where(Delivery.organization_id.is_(None)))
    found = union_all(*firsts).subquery()
    return select(func.min(found.c.due)).where(found.c.due <= now)


def _counted(*conditions: ColumnElement[bool]) -> Select[Any]:
    return counting.counted(select(Delivery.id).where(*conditions))
