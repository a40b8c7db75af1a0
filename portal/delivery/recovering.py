"""Taking over what a dead or sleeping worker held: it goes back to the queue, or its outcome is
unknown where its final dot may have gone out."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select

from portal.delivery import aside, retry
from portal.delivery.claims import SUSPECT
from portal.delivery.lease_clock import lease_now
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State, Worker
from portal.delivery.retry import RetryAt
from portal.extensions import db
from portal.kinds import BY_KEY

WORKER_LOST = "worker_lost"
# A letter that goes alone is parked after so many ends of a worker: one may have another cause.
_ALONE = 3
# How many rows one transaction takes.
_PORTION = 500


def release_dead(worker: str) -> int:
    """Recover everything that a dead worker, or all workers of a dead process, held; commit."""
    within = Delivery.lease_owner.startswith(f"{worker}:", autoescape=True)
    mine = or_(Delivery.lease_owner == worker, within)
    return _recover(and_(Delivery.state == State.SENDING, mine))


def recover_expired() -> int:
    """Recover everything whose lease ran out, and commit. Returns how many."""
    return _recover(and_(Delivery.state == State.SENDING, Delivery.lease_until < lease_now()))


def _recover(condition: ColumnElement[bool]) -> int:
    recovered = 0
    while True:
        found = db.session.scalars(
            select(Delivery).where(condition).limit(_PORTION).with_for_update(skip_locked=True)
        ).all()
        composing = _composing({delivery.lease_owner for delivery in found})
        now = lease_now()
        for delivery in found:
            _recover_one(delivery, now, was_composed=str(delivery.id) in composing)
        db.session.commit()
        recovered += len(found)
        if len(found) < _PORTION:
            return recovered


def _composing(workers: set[str | None]) -> set[str]:
    """The ids of the deliveries whose letters these workers were writing."""
    if not workers:
        return set()
    noted = db.session.scalars(select(Worker.doing).where(Worker.id.in_(workers)))
    return {delivery_id for ids in noted if ids for delivery_id in ids.split()}


def _recover_one(delivery: Delivery, now: datetime, *, was_composed: bool) -> None:
    """Only what may have ended the worker counts against a delivery: its letter was being written,
    or its final dot was out."""
    attempt = db.session.scalar(
        select(Attempt).where(Attempt.delivery_id == delivery.id, Attempt.outcome.is_(None))
    )
    if attempt is not None:
        unknown = delivery.dot_pending
        attempt.outcome = AttemptOutcome.UNKNOWN if unknown else AttemptOutcome.RECOVERED
        attempt.cause = WORKER_LOST
    delivery.recoveries += delivery.dot_pending or was_composed
    delivery.lease_owner = None
    delivery.lease_until = None
    delivery.fence += 1
    if delivery.dot_pending:
        delivery.dot_pending = False
        _after_unknown(delivery, now)
    elif was_composed and delivery.recoveries >= SUSPECT + _ALONE:
        # Where one of its tries may have reached the server, nobody may say that it failed.
        ended = State.UNKNOWN if delivery.may_be_duplicate else State.FAILED
        delivery.state, delivery.reason = ended, "parked"
        delivery.next_attempt_at = None
        aside.forget_secrets([delivery.id])
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
