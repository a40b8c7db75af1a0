"""The attempts of a delivery, as far as the worker that made them closes or takes them back."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, delete, func, select, update

from portal.clock import utcnow
from portal.database import rows_changed
from portal.delivery import aside, claims
from portal.delivery.claims import Claim
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, State
from portal.delivery.recovering import WORKER_LOST
from portal.extensions import db
from portal.smtp.values import Accepted

LEASE_LOST = "lease_lost"
ACCEPTED_LATE = "accepted_late"
_TAKEN_AWAY = (WORKER_LOST, LEASE_LOST)


def open_one(delivery: Delivery) -> Attempt:
    """The attempt that goes on."""
    return db.session.scalars(
        select(Attempt).where(
            Attempt.delivery_id == delivery.id, Attempt.number == delivery.attempt_count
        )
    ).one()


def give_back(claimed: Collection[Claim]) -> None:
    """Uncount the attempts of these claims, no server has heard of them, and queue them again;
    the caller commits."""
    if not claimed:
        return
    mine = claims.held(claimed)
    ids = [one.delivery_id for one in mine]
    _uncount(mine)
    db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids))
        .values(state=State.QUEUED, lease_owner=None, lease_until=None, dot_pending=False)
        .execution_options(synchronize_session=False)
    )
    for one in claimed:
        if one not in mine:
            note_lost_lease(one)


def uncount_open(claimed: Collection[Claim]) -> None:
    """Undo what a commit of unknown outcome may have counted for these claims."""
    _uncount(claimed)


def note_lost_lease(claimed: Claim) -> None:
    """Close the attempt of a claim that was lost before an answer came; the caller commits."""
    db.session.execute(
        update(Attempt)
        .where(_last(claimed), Attempt.outcome.is_(None))
        .values(outcome=AttemptOutcome.RECOVERED, cause=LEASE_LOST)
        .execution_options(synchronize_session=False)
    )


def note_late(claimed: Claim, outcome: Accepted) -> None:
    """An acceptance that came when the claim was lost: its attempt keeps it. So does the delivery
    that became unknown by the loss, where nobody has decided or tried again since; the caller
    commits."""
    _end_unknown(claimed, outcome)
    db.session.execute(
        update(Attempt)
        .where(_last(claimed), Attempt.outcome.is_(None) | Attempt.cause.in_(_TAKEN_AWAY))
        .values(
            outcome=AttemptOutcome.ACCEPTED,
            cause=LEASE_LOST,
            code=outcome.code,
            reply=outcome.reply,
            ip=outcome.ip,
        )
        .execution_options(synchronize_session=False)
    )


def _end_unknown(claimed: Claim, outcome: Accepted) -> None:
    """The recovery counted the fence up by one, and every claim after it counts on."""
    ended = db.session.execute(
        update(Delivery)
        .where(
            Delivery.id == claimed.delivery_id,
            Delivery.fence == claimed.fence + 1,
            Delivery.state == State.UNKNOWN,
            Delivery.reason == WORKER_LOST,
        )
        .values(
            state=State.ACCEPTED,
            reason=ACCEPTED_LATE,
            accepted_at=utcnow(),
            code=outcome.code,
            enhanced_code=None,
            reply=outcome.reply,
            ip=outcome.ip,
        )
        .execution_options(synchronize_session=False)
    )
    if rows_changed(ended):
        aside.forget_secrets([claimed.delivery_id])


def _uncount(claimed: Collection[Claim]) -> None:
    if not claimed:
        return
    (worker,) = {one.worker for one in claimed}
    gone = db.session.scalars(
        delete(Attempt)
        .where(
            Attempt.delivery_id.in_([one.delivery_id for one in claimed]),
            Attempt.worker == worker,
            Attempt.outcome.is_(None),
        )
        .returning(Attempt.delivery_id)
        .execution_options(synchronize_session=False)
    ).all()
    db.session.execute(
        update(Delivery)
        .where(claims.HELD, Delivery.id.in_(gone))
        .values(attempt_count=Delivery.attempt_count - 1)
        .execution_options(synchronize_session=False),
        claims.held_values(claimed),
    )


def _last(claimed: Claim) -> ColumnElement[bool]:
    """The newest attempt of this worker: it serves one mail of an organization at a time."""
    mine = and_(
        Attempt.delivery_id == claimed.delivery_id,
        Attempt.worker == claimed.worker,
    )
    newest = select(func.max(Attempt.number)).where(mine).scalar_subquery()
    return and_(mine, Attempt.number == newest)
