"""Claiming: which worker may send what. A lease says until when, a fence numbers the claim.

Every later write of the worker names its lease and fence; a worker that lost them writes nothing.
"""

import os
import socket
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update

from portal.clock import utcnow
from portal.database import rows_changed
from portal.delivery import retry
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, DeliverySecret, State
from portal.delivery.retry import RetryAt
from portal.extensions import db
from portal.kinds import BY_KEY

LEASE = timedelta(seconds=60)
# After so many recoveries a delivery is parked: it may be what kills the workers.
_RECOVERIES = 3
WORKER_LOST = "worker_lost"
# How many rows one transaction of a recovery takes.
_PORTION = 500


class LeaseLost(Exception):
    """Another worker may hold this delivery now; nothing more may be sent or written for it."""


@dataclass(frozen=True)
class Claim:
    """One delivery in the hands of one worker."""

    delivery_id: uuid.UUID
    organization_id: uuid.UUID | None
    worker: str
    fence: int

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
    found = [*_due(State.QUEUED, now, limit, but), *_due(State.DEFERRED, now, limit, but)]
    found.sort(key=lambda delivery: (delivery.priority, delivery.next_attempt_at or now))
    claims = []
    for delivery in found[:limit]:
        delivery.state = State.SENDING
        delivery.lease_owner = worker
        delivery.lease_until = now + LEASE
        delivery.fence += 1
        delivery.dot_pending = False
        claims.append(Claim(delivery.id, delivery.organization_id, worker, delivery.fence))
    db.session.commit()
    return claims


def _due(
    state: State, now: datetime, limit: int, but: Collection[uuid.UUID | None]
) -> Sequence[Delivery]:
    """Each state by itself: so both come in the order of an index, however many are waiting."""
    due = (
        select(Delivery)
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
    return db.session.scalars(due).all()


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
        .values(lease_until=utcnow() + LEASE)
    )
    db.session.commit()


def mark_dot(claim: Claim) -> None:
    """Right before the final dot: note that it goes out; the caller commits. Raises LeaseLost.

    After a crash only deliveries with this mark may have reached the server.
    """
    now = utcnow()
    result = db.session.execute(
        update(Delivery)
        .where(claim.holds, Delivery.state == State.SENDING, Delivery.lease_until > now)
        .values(dot_pending=True)
        .execution_options(synchronize_session=False)
    )
    if rows_changed(result) != 1:
        raise LeaseLost


def release(claims: Collection[Claim]) -> None:
    """Give back what was claimed and not begun, and commit."""
    for claimed in claims:
        db.session.execute(
            update(Delivery)
            .where(claimed.holds, Delivery.state == State.SENDING)
            .values(state=State.QUEUED, lease_owner=None, lease_until=None)
        )
    db.session.commit()


def release_dead(worker: str) -> int:
    """Recover everything that a dead worker, or all workers of a dead process, held; commit."""
    within = Delivery.lease_owner.startswith(f"{worker}:", autoescape=True)
    mine = or_(Delivery.lease_owner == worker, within)
    return _recover(and_(Delivery.state == State.SENDING, mine))


def recover_expired() -> int:
    """Recover everything whose lease ran out, and commit. Returns how many."""
    return _recover(and_(Delivery.state == State.SENDING, Delivery.lease_until < utcnow()))


def forget_secrets(delivery: Delivery) -> None:
    """Delete the links of a letter that will not be written again."""
    if (row := db.session.get(DeliverySecret, delivery.id)) is not None:
        db.session.delete(row)


def _recover(condition: ColumnElement[bool]) -> int:
    recovered = 0
    while True:
        found = db.session.scalars(
            select(Delivery).where(condition).limit(_PORTION).with_for_update(skip_locked=True)
        ).all()
        now = utcnow()
        for delivery in found:
            _recover_one(delivery, now)
        db.session.commit()
        recovered += len(found)
        if len(found) < _PORTION:
            return recovered


def _recover_one(delivery: Delivery, now: datetime) -> None:
    attempt = db.session.scalar(
        select(Attempt).where(Attempt.delivery_id == delivery.id, Attempt.outcome.is_(None))
    )
    if attempt is not None:
        unknown = delivery.dot_pending
        attempt.outcome = AttemptOutcome.UNKNOWN if unknown else AttemptOutcome.RECOVERED
        attempt.cause = WORKER_LOST
        delivery.recoveries += 1
    delivery.lease_owner = None
    delivery.lease_until = None
    delivery.fence += 1
    if delivery.dot_pending:
        delivery.dot_pending = False
        _after_unknown(delivery, now)
    elif delivery.recoveries >= _RECOVERIES:
        delivery.state, delivery.reason = State.FAILED, "parked"
        delivery.next_attempt_at = None
        forget_secrets(delivery)
    else:
        delivery.state, delivery.reason = State.QUEUED, "recovered"
        delivery.next_attempt_at = now


def _after_unknown(delivery: Delivery, now: datetime) -> None:
    decision = retry.decide_unknown(
        kind=BY_KEY[delivery.kind], may_be_duplicate=delivery.may_be_duplicate, now=now
    )
    if isinstance(decision, RetryAt):
        delivery.state, delivery.reason = State.QUEUED, "recovered"
        delivery.next_attempt_at = now
        delivery.may_be_duplicate = True
    else:
        delivery.state, delivery.reason = State.UNKNOWN, WORKER_LOST
        delivery.next_attempt_at = None
