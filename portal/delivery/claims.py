"""Claiming: which worker may send what. A lease says until when, a fence numbers the claim.

Every later write of the worker names its lease and fence; a worker that lost them writes nothing.
"""

import os
import socket
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, select, tuple_, update

from portal.clock import utcnow
from portal.database import reading_only, rows_changed
from portal.delivery.lease_clock import lease_now
from portal.delivery.models import Delivery, State, Worker
from portal.extensions import db

LEASE = timedelta(seconds=60)
# After so many recoveries a delivery may be what kills the workers: its letter is written alone.
SUSPECT = 3


@dataclass(frozen=True)
class Claim:
    """One delivery in the hands of one worker."""

    delivery_id: uuid.UUID
    organization_id: uuid.UUID | None
    worker: str
    fence: int
    is_suspect: bool = False

    @property
    def holds(self) -> ColumnElement[bool]:
        """The condition of every write under this claim."""
        return and_(
            Delivery.id == self.delivery_id,
            Delivery.lease_owner == self.worker,
            Delivery.fence == self.fence,
        )


def process_name(pid: int) -> str:
    """The beginning of the names of all workers in that process of this machine."""
    return f"{socket.gethostname()[:40]}:{pid}"


def worker_name() -> str:
    """A name that no other worker has or had: process ids come again, in containers always."""
    return f"{process_name(os.getpid())}:{os.urandom(4).hex()}"


def claim(worker: str, *, limit: int, but: Collection[uuid.UUID | None] = ()) -> list[Claim]:
    """Take up to `limit` due deliveries, urgent ones first, and commit.

    `but`: organizations that this worker is busy with, so that none holds up the others.
    """
    now = utcnow()
    while due := _look(now, limit, but):
        taken = _take(worker, due, now)
        db.session.commit()
        if taken:
            return taken
    db.session.commit()
    return []


def _look(now: datetime, limit: int, but: Collection[uuid.UUID | None]) -> list[uuid.UUID]:
    """What is due, locked on PostgreSQL. On SQLite, where a lock would keep everybody from writing
    for as long as it takes to look past a backlog, it may be another's by the time it is taken."""
    reading_only(True)
    try:
        found = [*_due(State.QUEUED, now, limit, but), *_due(State.DEFERRED, now, limit, but)]
    finally:
        reading_only(False)
    if db.engine.dialect.name == "sqlite":
        db.session.rollback()
    found.sort(key=lambda row: (row.priority, row.next_attempt_at))
    return [row.id for row in found[:limit]]


def _take(worker: str, due: Sequence[uuid.UUID], now: datetime) -> list[Claim]:
    still_due = and_(
        Delivery.id.in_(due),
        Delivery.state.in_([State.QUEUED, State.DEFERRED]),
        Delivery.next_attempt_at <= now,
    )
    changed = db.session.execute(
        update(Delivery)
        .where(still_due)
        .values(
            state=State.SENDING,
            lease_owner=worker,
            lease_until=lease_now() + LEASE,
            fence=Delivery.fence + 1,
        )
        .returning(Delivery.id, Delivery.organization_id, Delivery.fence, Delivery.recoveries)
        .execution_options(synchronize_session=False)
    )
    taken = {
        row.id: Claim(row.id, row.organization_id, worker, row.fence, row.recoveries >= SUSPECT)
        for row in changed
    }
    return [taken[delivery_id] for delivery_id in due if delivery_id in taken]


def _due(
    state: State, now: datetime, limit: int, but: Collection[uuid.UUID | None]
) -> Sequence[Row[uuid.UUID, int, datetime | None]]:
    """Each state by itself: so both come in the order of an index, however many are waiting."""
    due = (
        select(Delivery.id, Delivery.priority, Delivery.next_attempt_at)
        .where(Delivery.state == state, Delivery.next_attempt_at <= now)
        .order_by(Delivery.priority, Delivery.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    organizations = [organization for organization in but if organization is not None]
    if organizations:
        due = due.where(
            Delivery.organization_id.is_(None) | Delivery.organization_id.not_in(organizations)
        )
    if None in but:
        due = due.where(Delivery.organization_id.is_not(None))
    return db.session.execute(due).all()


def renew(worker: str, *, but: Collection[uuid.UUID] = ()) -> None:
    """Extend the leases of everything this worker holds, and commit.

    `but`: deliveries that no thread of it cares for any more, so that they come back.
    """
    db.session.execute(
        update(Delivery)
        .where(
            Delivery.state == State.SENDING,
            Delivery.lease_owner == worker,
            Delivery.id.not_in(list(but)),
        )
        .values(lease_until=lease_now() + LEASE)
    )
    db.session.commit()


def mark_dots(claimed: Collection[Claim]) -> set[Claim]:
    """Right before the final dots: note that they go out; the caller commits. Returns those whose
    claim still holds; no other dot may go out.

    After a crash only deliveries with this mark may have reached the server.
    """
    if not claimed:
        return set()
    marked = set(db.session.scalars(_MARK_DOTS, held(claimed) | {"now": lease_now()}))
    return {one for one in claimed if one.delivery_id in marked}


# The condition of a write under several claims of one worker; `held` gives its parameters.
# The ids stand in it once more by themselves, as SQLite finds no index for pairs.
HELD = and_(
    Delivery.id.in_(bindparam("ids", expanding=True)),
    Delivery.lease_owner == bindparam("worker"),
    tuple_(Delivery.id, Delivery.fence).in_(bindparam("fences", expanding=True)),
)


def held(claimed: Collection[Claim]) -> dict[str, Any]:
    (worker,) = {one.worker for one in claimed}
    fences = [(one.delivery_id, one.fence) for one in claimed]
    return {"worker": worker, "ids": [one.delivery_id for one in claimed], "fences": fences}


_MARK_DOTS = (
    update(Delivery)
    .where(HELD, Delivery.state == State.SENDING, Delivery.lease_until > bindparam("now"))
    .values(dot_pending=True)
    .returning(Delivery.id)
    .execution_options(synchronize_session=False)
)


def release(claimed: Collection[Claim]) -> None:
    """Give back what was claimed and not begun, and commit."""
    if claimed:
        db.session.execute(
            update(Delivery)
            .where(HELD, Delivery.state == State.SENDING)
            .values(state=State.QUEUED, lease_owner=None, lease_until=None)
            .execution_options(synchronize_session=False),
            held(claimed),
        )
    db.session.commit()


def note_doing(worker: str, delivery_ids: Collection[uuid.UUID]) -> None:
    """Note whose letters are written after the commit: where that ends the worker, it was one of
    these. The caller commits."""
    now = lease_now()
    doing = " ".join(map(str, delivery_ids)) or None
    noted = db.session.execute(
        update(Worker)
        .where(Worker.id == worker)
        .values(doing=doing)
        .execution_options(synchronize_session=False)
    )
    if not rows_changed(noted):
        db.session.add(Worker(id=worker, started_at=now, heartbeat_at=now, doing=doing))
        db.session.flush()
