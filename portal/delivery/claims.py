"""Claiming: which worker may send what. A lease says until when, a fence numbers the claim.

Every later write of the worker names its lease and fence; a worker that lost them writes nothing.
"""

import os
import socket
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import Column, ColumnElement, Table, and_, bindparam, select, tuple_, update

from portal.clock import utcnow
from portal.database import reading_only
from portal.delivery import lanes
from portal.delivery.lanes import NOTHING, Enough, Lane, Line
from portal.delivery.lease_clock import lease_now
from portal.delivery.models import Delivery, Level, State, Worker
from portal.extensions import db
from portal.kinds import BY_KEY, Priority
from portal.prepared import Own, Prepared

LEASE = timedelta(seconds=60)
# After so many recoveries a delivery may be what kills the workers: its letter is written alone.
SUSPECT = 3


class Letter(NamedTuple):
    """What is known of a delivery and does not change while a worker has it in hand.

    `attempts`: how many there were before this claim; `level`: whose sender the last one used.
    """

    payload_id: uuid.UUID
    kind: str
    recipient: str
    user_id: uuid.UUID | None
    language: str
    timezone: str
    message_id: str
    created_at: datetime
    expires_at: datetime
    attempts: int
    level: Level | None

    @property
    def was_by_host(self) -> bool:
        """Whether the last try went by the host's sender, and so is counted among its mail."""
        return self.level in (Level.HOST, Level.FALLBACK)


@dataclass(frozen=True, eq=False)
class Claim:
    """One delivery in the hands of one worker."""

    delivery_id: uuid.UUID
    organization_id: uuid.UUID | None
    worker: str
    fence: int
    letter: Letter
    is_suspect: bool = False

    @property
    def holds(self) -> ColumnElement[bool]:
        """The condition of every write under this claim."""
        return and_(
            Delivery.id == self.delivery_id,
            Delivery.lease_owner == self.worker,
            Delivery.fence == self.fence,
        )

    @property
    def priority(self) -> Priority:
        return BY_KEY[self.letter.kind].priority

    @property
    def line(self) -> Line:
        """In which it waits for its turn."""
        return lanes.line_of(self.organization_id, self.priority)

    @property
    def number(self) -> int:
        """That of the attempt that is made under this claim, from 1."""
        return self.letter.attempts + 1


def process_name(pid: int) -> str:
    """The beginning of the names of all workers in that process of this machine."""
    return f"{socket.gethostname()[:40]}:{pid}"


def worker_name() -> str:
    """A name that no other worker has or had: process ids come again, in containers always."""
    return f"{process_name(os.getpid())}:{os.urandom(4).hex()}"


def claim(worker: str, *, limit: int, but: Enough = NOTHING) -> list[Claim]:
    """Take up to `limit` due deliveries, urgent ones first, and commit.

    `but`: what this worker has enough of, so that no line holds up the others.
    """
    while True:
        now = utcnow()
        due = [lane for lane in _look(but) if lane.due_at <= now]
        found = lanes.first_due(due, now, limit) if due else []
        taken = _take(worker, found, now) if found else []
        db.session.commit()
        if taken or not found:
            return taken


def next_due() -> datetime | None:
    """When the first waiting mail is due."""
    times = [lane.due_at for lane in _look(NOTHING)]
    db.session.rollback()
    return min(times, default=None)


def _look(but: Enough) -> list[Lane]:
    """Without a lock: on SQLite one would keep everybody from writing."""
    reading_only(True)
    try:
        return lanes.waiting(but)
    finally:
        reading_only(False)
        if db.engine.dialect.name == "sqlite":
            db.session.rollback()


def _take(worker: str, due: Sequence[uuid.UUID], now: datetime) -> list[Claim]:
    values = {"ids": due, "now": now, "worker": worker, "until": lease_now() + LEASE}
    rows = db.session.connection().execute(_TAKE, values)
    taken = {
        delivery_id: Claim(
            delivery_id=delivery_id,
            organization_id=organization_id,
            worker=worker,
            fence=fence,
            letter=Letter(*letter),
            is_suspect=recoveries >= SUSPECT,
        )
        for delivery_id, organization_id, fence, recoveries, *letter in rows
    }
    return [taken[delivery_id] for delivery_id in due if delivery_id in taken]


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
    (worker,) = {one.worker for one in claimed}
    now = lease_now()
    marked = _MARK_DOTS.run([key(one) for one in claimed], worker=worker, now=now)
    if marked == len(claimed):
        return set(claimed)
    return held(claimed, Delivery.dot_pending.is_(True), Delivery.lease_until > now)


def key(claimed: Claim) -> tuple[uuid.UUID, int]:
    """The values of KEY for this claim."""
    return claimed.delivery_id, claimed.fence


def held(claimed: Collection[Claim], *also: ColumnElement[bool]) -> set[Claim]:
    """Those that still are this worker's, as it is in this transaction, and locked."""
    if not claimed:
        return set()
    mine = select(Delivery.id).where(HELD, *also).with_for_update()
    found = set(db.session.scalars(mine, held_values(claimed)))
    return {one for one in claimed if one.delivery_id in found}


# The condition of a write under several claims of one worker; `held_values` gives its parameters.
# The ids stand in it once more by themselves, as SQLite finds no index for pairs.
HELD = and_(
    Delivery.id.in_(bindparam("ids", expanding=True)),
    Delivery.lease_owner == bindparam("worker"),
    tuple_(Delivery.id, Delivery.fence).in_(bindparam("fences", expanding=True)),
)


def held_values(claimed: Collection[Claim]) -> dict[str, Any]:
    (worker,) = {one.worker for one in claimed}
    fences = [(one.delivery_id, one.fence) for one in claimed]
    return {"worker": worker, "ids": [one.delivery_id for one in claimed], "fences": fences}


_table = cast(Table, Delivery.__table__)
# The columns of a prepared write under claims of one worker; `key` gives their values.
KEY: dict[str, Column[Any]] = {"its_id": _table.c.id, "its_fence": _table.c.fence}


def mine(own: Own) -> ColumnElement[bool]:
    """The condition of such a write."""
    return and_(
        _table.c.id == own["its_id"],
        _table.c.fence == own["its_fence"],
        _table.c.lease_owner == bindparam("worker"),
        _table.c.state == State.SENDING,
    )


_workers = cast(Table, Worker.__table__)
_DOING = Prepared(
    lambda own: update(_workers).where(_workers.c.id == own["its_id"]).values(doing=own["what"]),
    {"its_id": _workers.c.id, "what": _workers.c.doing},
)
_MARK_DOTS = Prepared(
    lambda own: (
        update(_table)
        .where(mine(own), _table.c.lease_until > bindparam("now"))
        .values(dot_pending=True)
    ),
    KEY,
)
_TAKE = (
    update(_table)
    .where(
        _table.c.id.in_(bindparam("ids", expanding=True)),
        _table.c.state.in_([State.QUEUED, State.DEFERRED]),
        _table.c.next_attempt_at <= bindparam("now"),
    )
    .values(
        state=State.SENDING,
        lease_owner=bindparam("worker"),
        lease_until=bindparam("until"),
        fence=_table.c.fence + 1,
    )
    .returning(
        _table.c.id,
        _table.c.organization_id,
        _table.c.fence,
        _table.c.recoveries,
        # From here on as in Letter.
        _table.c.payload_id,
        _table.c.kind,
        _table.c.recipient,
        _table.c.user_id,
        _table.c.language,
        _table.c.timezone,
        _table.c.message_id,
        _table.c.created_at,
        _table.c.expires_at,
        _table.c.attempt_count,
        _table.c.level,
    )
)


def release(claimed: Collection[Claim]) -> None:
    """Give back what was claimed and not begun, and commit."""
    if claimed:
        db.session.execute(
            update(Delivery)
            .where(HELD, Delivery.state == State.SENDING)
            .values(state=State.QUEUED, lease_owner=None, lease_until=None)
            .execution_options(synchronize_session=False),
            held_values(claimed),
        )
    db.session.commit()


def note_doing(worker: str, delivery_ids: Collection[uuid.UUID]) -> None:
    """Note whose letters are written after the commit: where that ends the worker, it was one of
    these. The caller commits."""
    now = lease_now()
    doing = " ".join(map(str, delivery_ids)) or None
    if not _DOING.run([(worker, doing)]):
        db.session.add(Worker(id=worker, started_at=now, heartbeat_at=now, doing=doing))
        db.session.flush()
